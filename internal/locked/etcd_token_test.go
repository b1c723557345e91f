// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/session"
)

// TestEtcdTokens: passwords, for which etcd gives tokens that end after a
// second, one kind when that member has not seen it for that long, the other
// anyway.
func TestEtcdTokens(t *testing.T) {
	t.Parallel()
	cert, key := servers.NewAuthority(t).Issue(t, "tokens")
	calm := servers.Options{Heartbeat: 30 * time.Millisecond, Election: 300 * time.Millisecond, AuthTokenTTL: time.Second}
	for name, c := range map[string]struct {
		members int
		o       servers.Options
	}{
		"simple":         {1, servers.Options{AuthTokenTTL: time.Second}},
		"simple-cluster": {3, calm},
		"jwt":            {1, servers.Options{AuthToken: fmt.Sprintf("jwt,pub-key=%s,priv-key=%s,sign-method=ES256,ttl=1s", cert, key)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcdLongWait(t, startEtcd(t, c.members, c.o))
		})
	}
}

// etcdLongWait: two wait, one for a lock and one for news of an election, for
// several times what a token lasts.
func etcdLongWait(t *testing.T, site *etcdSite) {
	u, ctx := site.user(t, "secret"), within(t, patience)
	const ttl = 6 * time.Second // a renewal in 2 s, when the token of the last has ended
	lost := make(chan session.Place, 16)
	wait := make(chan session.Place, 16)
	open := func() (*session.Session, *etcdTraffic, string) {
		store, traffic := u.store(t)
		s := etcdSession(t, store, u.prefix, session.Options{TTL: ttl, Observer: &session.Observer{
			Lose: func(p session.Place) { lost <- p }, Wait: func(p session.Place) { wait <- p },
		}})
		inc, err := s.Current(ctx)
		require.NoError(t, err)
		return s, traffic, inc.ID()
	}
	a, ta, ida := open()
	b, tb, idb := open()
	hold, err := etcdMutex(t, a, "l", false).Lock(ctx)
	require.NoError(t, err)
	term, err := etcdOffice(t, a, "office", "a", false).Campaign(ctx)
	require.NoError(t, err)
	first := etcdLocks(ctx, etcdMutex(t, b, "l", false))
	get(t, wait, "the first to queue")
	seen, _ := etcdObserve(ctx, etcdOffice(t, b, "office", "b", false))
	require.Equal(t, "a", get(t, seen, "the leader").Value)

	// Each of these logins is one that a call found necessary.
	la, lb := ta.logins.Load(), tb.logins.Load()
	require.Eventually(t, func() bool { return ta.logins.Load() >= la+2 && tb.logins.Load() >= lb+2 }, patience, 10*time.Millisecond)
	// All tokens are older than this, too.
	site.user(t, "")
	second := etcdLocks(ctx, etcdMutex(t, b, "l", false)) // on a stream whose token has ended
	get(t, wait, "the second to queue")
	require.NoError(t, hold.Check())

	began := time.Now()
	require.NoError(t, term.Proclaim(ctx, "a, elsewhere"))
	require.Equal(t, "a, elsewhere", get(t, seen, "the news").Value)
	gave(t, hold.Unlock())
	got := get(t, first, "the hand-over")
	require.NoError(t, got.err)
	gave(t, got.Unlock())
	last := get(t, second, "the second hand-over")
	require.NoError(t, last.err)
	require.Less(t, time.Since(began), atOnce)
	require.Greater(t, last.Token(), got.Token())
	gave(t, last.Unlock())
	for s, id := range map[*session.Session]string{a: ida, b: idb} {
		inc, err := s.Current(ctx)
		require.NoError(t, err)
		require.Equal(t, id, inc.ID(), "the session is the same as before")
	}
	gave(t, term.Resign())
	require.Empty(t, lost)
	t.Logf("logins %d and %d, streams %d and %d", ta.logins.Load(), tb.logins.Load(), ta.streams.Load(), tb.streams.Load())
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

// TestEtcdFixedTokens: a client that was given a token cannot get another when
// that is worth nothing any more.
func TestEtcdFixedTokens(t *testing.T) {
	t.Parallel()
	cert, key := servers.NewAuthority(t).Issue(t, "tokens")
	for name, c := range map[string]struct {
		o     servers.Options
		spoil func(*testing.T, *etcdUser)
	}{
		"simple": {servers.Options{}, func(t *testing.T, u *etcdUser) {
			_, err := u.site.root.UserChangePassword(within(t, patience), u.name, "another")
			require.NoError(t, err)
		}},
		"jwt": {servers.Options{AuthToken: fmt.Sprintf("jwt,pub-key=%s,priv-key=%s,sign-method=ES256,ttl=1h", cert, key)},
			func(t *testing.T, u *etcdUser) { u.site.user(t, "") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := startEtcd(t, 1, c.o).user(t, "secret")
			etcdFixedToken(t, u, func() { c.spoil(t, u) })
		})
	}
}

func etcdFixedToken(t *testing.T, u *etcdUser, spoil func()) {
	ctx := within(t, patience)
	resp, err := u.site.root.Authenticate(ctx, u.name, u.password)
	require.NoError(t, err)
	cfg, _ := u.config(t)
	cfg.Username, cfg.Password, cfg.Token = "", "", resp.Token
	store := etcdStore(t, cfg)
	read := func() error { _, err := store.Read(ctx, u.prefix+"/k"); return err }
	watch := func() error {
		var last error
		for _, last = range store.Watch(ctx, u.prefix+"/k") {
		}
		return last
	}
	require.NoError(t, read())
	denied(t, func() error { _, err := store.Read(ctx, "k"); return err }, `the user of the client's token needs read on "k"`)

	spoil()
	words := "the client's token has expired, or users or roles were changed since"
	denied(t, read, words)
	denied(t, watch, words)
	denied(t, func() error {
		_, err := store.Commit(ctx, adapters.Tx{Reads: []string{u.prefix + "/k"}})
		return err
	}, words)
	_, err = session.Open(ctx, store, &session.Options{Prefix: u.prefix, TTL: long})
	require.ErrorIs(t, err, adapters.ErrDenied)
	require.ErrorContains(t, err, words)
}
