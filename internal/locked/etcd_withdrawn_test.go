// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// short is the TTL of a session that is to end.
const short = 2 * time.Second

// ends waits for the end of a session for lack of a right, and for that of its
// keys but for those of the sessions that keep theirs.
func (u *etcdUser) ends(t *testing.T, s *session.Session, keep ...*session.Session) {
	t.Helper()
	get(t, s.Done(), "the end of the session")
	require.ErrorIs(t, s.Err(), session.ErrClosed)
	require.ErrorIs(t, s.Err(), adapters.ErrDenied)
	require.ErrorContains(t, s.Err(), "etcdctl role grant-permission ROLE readwrite --prefix "+u.prefix+"/")
	began := time.Now()
	_, err := etcdMutex(t, s, "l", false).Lock(within(t, patience))
	require.ErrorIs(t, err, adapters.ErrDenied)
	require.Less(t, time.Since(began), atOnce)
	for view, err := range u.site.rootStore(t).Watch(within(t, patience), u.prefix+"/session/") {
		require.NoError(t, err)
		if len(view.KVs) == len(keep) {
			break
		}
	}
}

func etcdHolderWithdrawn(t *testing.T, site *etcdSite) {
	u := site.user(t, "")
	s, ctx := u.session(t, session.Options{TTL: short}), within(t, patience)
	hold, err := etcdMutex(t, s, "l", false).Lock(ctx)
	require.NoError(t, err)
	type taken struct {
		etcdLocked
		before error // what the holder thinks of it by then
	}
	waiting := make(chan session.Place, 1)
	heir := etcdSession(t, site.rootStore(t), u.prefix, session.Options{
		Observer: &session.Observer{Wait: func(p session.Place) { waiting <- p }},
	})
	next := async(func() taken {
		h, err := etcdMutex(t, heir, "l", false).Lock(ctx)
		return taken{etcdLocked{h, err}, hold.Check()}
	})
	get(t, waiting, "the heir to queue")
	did, leads := make(chan struct{}), make(chan struct{})
	do := async(func() error {
		return etcdMutex(t, s, "do", false).Do(ctx, func(ctx context.Context, h *mutex.Hold) error {
			close(did)
			<-ctx.Done()
			return context.Cause(ctx)
		})
	})
	lead := async(func() error {
		return etcdOffice(t, s, "office", "x", false).Lead(ctx, func(ctx context.Context, term *election.Term) error {
			close(leads)
			<-ctx.Done()
			return context.Cause(ctx)
		})
	})
	get(t, did, "the lock of Do")
	get(t, leads, "the term")

	u.withdraw(t)
	withdrawn := time.Now()
	require.NoError(t, hold.Check(), "nobody else can have it yet")
	get(t, hold.Context().Done(), "the end of the hold")
	require.Less(t, time.Since(withdrawn), short+atOnce)
	cause := context.Cause(hold.Context())
	require.ErrorIs(t, cause, session.ErrLost)
	require.ErrorIs(t, cause, adapters.ErrDenied)
	require.ErrorContains(t, cause, "etcdctl role grant-permission ROLE write --prefix "+u.prefix+"/")
	require.ErrorIs(t, hold.Check(), session.ErrLost)
	require.ErrorIs(t, hold.Unlock(), session.ErrLost)
	got := get(t, next, "the hand-over")
	require.NoError(t, got.err)
	require.ErrorIs(t, got.before, session.ErrLost, "nobody gets the place before the holder has let go")
	require.Greater(t, got.Token(), hold.Token())
	require.ErrorIs(t, get(t, do, "the end of Do"), adapters.ErrDenied)
	require.ErrorIs(t, get(t, lead, "the end of Lead"), adapters.ErrDenied)
	u.ends(t, s, heir)
	gave(t, got.Unlock())
}

func etcdWaitersWithdrawn(t *testing.T, site *etcdSite) {
	u := site.user(t, "")
	ctx, waiting := within(t, patience), make(chan session.Place, 4)
	holder := etcdSession(t, site.rootStore(t), u.prefix, session.Options{})
	hold, err := etcdMutex(t, holder, "l", false).Lock(ctx)
	require.NoError(t, err)
	term, err := etcdOffice(t, holder, "office", "holder", false).Campaign(ctx)
	require.NoError(t, err)

	s := u.session(t, session.Options{TTL: short, Observer: &session.Observer{Wait: func(p session.Place) { waiting <- p }}})
	m, e := etcdMutex(t, s, "l", false), etcdOffice(t, s, "office", "waiter", false)
	ends := map[string]<-chan error{
		"lock":     async(func() error { _, err := m.Lock(ctx); return err }),
		"campaign": async(func() error { _, err := e.Campaign(ctx); return err }),
		"do":       async(func() error { return m.Do(ctx, func(context.Context, *mutex.Hold) error { return nil }) }),
		"lead":     async(func() error { return e.Lead(ctx, func(context.Context, *election.Term) error { return nil }) }),
	}
	for range ends {
		get(t, waiting, "all to wait")
	}
	u.withdraw(t)
	withdrawn := time.Now()
	for what, end := range ends {
		err := get(t, end, "the end of "+what)
		require.Less(t, time.Since(withdrawn), short+atOnce, what)
		// etcd finds nothing wrong with a watch that is open, so a wait ends with
		// the session, or at once if it was about to look.
		require.ErrorIs(t, err, adapters.ErrDenied, what)
	}
	u.ends(t, s, holder)
	gave(t, hold.Unlock())
	gave(t, term.Resign())
}

// etcdWithdrawnBriefly: the lease has not ended, so nothing has.
func etcdWithdrawnBriefly(t *testing.T, site *etcdSite) {
	u := site.user(t, "")
	states := make(chan session.StateChange, 16)
	s := u.session(t, session.Options{TTL: 2 * short, Observer: &session.Observer{State: func(c session.StateChange) { states <- c }}})
	require.Equal(t, session.Active, get(t, states, "the beginning").To)
	hold, err := etcdMutex(t, s, "l", false).Lock(within(t, patience))
	require.NoError(t, err)
	u.withdraw(t)
	require.Equal(t, session.Jeopardy, get(t, states, "Jeopardy").To)
	u.giveBack(t)
	require.Equal(t, session.Active, get(t, states, "the renewal").To)
	require.NoError(t, hold.Check())
	gave(t, hold.Unlock())
}

// etcdPasswordChanged: the next login fails.
func etcdPasswordChanged(t *testing.T, site *etcdSite) {
	u := site.user(t, "secret")
	s := u.session(t, session.Options{TTL: short})
	hold, err := etcdMutex(t, s, "l", false).Lock(within(t, patience))
	require.NoError(t, err)
	_, err = site.root.UserChangePassword(within(t, patience), u.name, "another")
	require.NoError(t, err)
	get(t, hold.Context().Done(), "the end of the hold")
	get(t, s.Done(), "the end of the session")
	require.ErrorIs(t, s.Err(), adapters.ErrDenied)
	require.ErrorContains(t, s.Err(), `user "`+u.name+`" cannot log in`)
}

// TestEtcdOpenWatch: etcd looks at rights when a watch is opened and not again.
// One that is open goes on, until it is opened anew.
func TestEtcdOpenWatch(t *testing.T) {
	t.Parallel()
	site := startEtcd(t, 1, servers.Options{})
	u, ctx := site.user(t, ""), within(t, patience)
	holder := etcdSession(t, site.rootStore(t), u.prefix, session.Options{})
	store, _ := u.store(t)
	seen := make(chan adapters.View, 64)
	ended := async(func() error {
		for view, err := range store.Watch(ctx, u.prefix+"/mutex/l/") {
			if err != nil {
				return err
			}
			seen <- view
		}
		return nil
	})
	require.Empty(t, get(t, seen, "the first state").KVs)
	u.withdraw(t)
	hold, err := etcdMutex(t, holder, "l", false).Lock(ctx)
	require.NoError(t, err)
	require.Len(t, get(t, seen, "the lock").KVs, 1)
	site.Member(0).Kill()
	site.Member(0).Restart()
	require.ErrorIs(t, get(t, ended, "the end of the watch"), adapters.ErrDenied)
	require.NoError(t, site.Ready(ctx))
	gave(t, hold.Unlock())
}
