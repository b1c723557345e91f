// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

const byCertificate = "the user whom the client's certificate names needs "

// obey does what the text of an error says has to be done.
func (u *etcdUser) obey(t *testing.T, err error) {
	t.Helper()
	commands := regexp.MustCompile(`etcdctl role grant-permission ROLE [^;)]*`).FindAllString(err.Error(), -1)
	require.NotEmpty(t, commands, "%v", err)
	for _, c := range commands {
		require.NoError(t, run(u.site.root, strings.Fields(strings.ReplaceAll(c, "ROLE", u.role))[1:]))
	}
}

func etcdOpenWithout(t *testing.T, site *etcdSite) {
	u := site.user(t, "")
	store, _ := u.store(t)
	elsewhere := u.prefix + "-elsewhere/team"
	open := func(store adapters.Store) error {
		s, err := session.Open(within(t, patience), store, &session.Options{Prefix: elsewhere, TTL: long})
		if err != nil {
			return err
		}
		return s.Close()
	}
	words := []string{byCertificate, `on "` + elsewhere + `/session/`, `on "` + elsewhere + `/inbox/`}
	denied(t, func() error { return open(store) }, words...)

	// The right to read is not the right to write, and the other way round.
	key := elsewhere + "/"
	for _, kind := range []clientv3.PermissionType{clientv3.PermissionType(clientv3.PermRead), clientv3.PermissionType(clientv3.PermWrite)} {
		_, err := site.root.RoleGrantPermission(within(t, patience), u.role, key, clientv3.GetPrefixRangeEnd(key), kind)
		require.NoError(t, err)
		denied(t, func() error { return open(store) }, words...)
	}

	// Who does not exist in etcd, but has a good certificate.
	nobody := *u
	nobody.name = "nobody"
	foreign, _ := nobody.store(t)
	denied(t, func() error { return open(foreign) }, words...)

	u.obey(t, open(store))
	require.NoError(t, open(store))
}

// etcdWorkWithout: names that are used verbatim are outside the prefix.
func etcdWorkWithout(t *testing.T, site *etcdSite) {
	u := site.user(t, "")
	s := u.session(t, session.Options{})
	ctx, name := within(t, patience), u.prefix+"-jobs"
	m, e := etcdMutex(t, s, name, true), etcdOffice(t, s, name, "x", true)
	never := func(context.Context) error { panic("it was not denied") }
	for what, call := range map[string]func() error{
		"lock":     func() error { _, err := m.Lock(ctx); return err },
		"try lock": func() error { _, err := m.TryLock(ctx); return err },
		"do":       func() error { return m.Do(ctx, func(ctx context.Context, _ *mutex.Hold) error { return never(ctx) }) },
		"campaign": func() error { _, err := e.Campaign(ctx); return err },
		"lead": func() error {
			return e.Lead(ctx, func(ctx context.Context, _ *election.Term) error { return never(ctx) })
		},
		"leader":  func() error { _, err := e.Leader(ctx); return err },
		"observe": func() error { _, ended := etcdObserve(ctx, e); return get(t, ended, "the end of Observe") },
	} {
		denied(t, call, what, byCertificate, "read on \""+name+"/\"", "--prefix "+name+"/")
	}
	require.Equal(t, session.Active, s.State(), "what is denied elsewhere costs nothing here")
	own, err := etcdMutex(t, s, "own", false).Lock(ctx)
	require.NoError(t, err)
	gave(t, own.Unlock())
	view, err := site.rootStore(t).Read(ctx, name+"/")
	require.NoError(t, err)
	require.Empty(t, view.KVs)

	_, err = m.Lock(ctx)
	u.obey(t, err)
	hold, err := m.Lock(ctx)
	require.NoError(t, err)
	gave(t, hold.Unlock())
}

// etcdCallsWithout are the calls of a Store one by one.
func etcdCallsWithout(t *testing.T, site *etcdSite) {
	u := site.user(t, "secret")
	store, _ := u.store(t)
	ctx, out := within(t, patience), u.prefix+"-out/"
	a, b := out+"a", out+"it's b"
	commit := func(tx adapters.Tx) func() error {
		return func() error { _, err := store.Commit(ctx, tx); return err }
	}
	for _, c := range []struct {
		call func() error
		want string
	}{
		{func() error { _, err := store.Read(ctx, a); return err },
			`read on "` + a + `" (etcdctl role grant-permission ROLE read ` + a + `)`},
		{func() error { _, err := store.Read(ctx, out); return err },
			`read on "` + out + `" (etcdctl role grant-permission ROLE read --prefix ` + out + `)`},
		{func() error {
			var last error
			for _, last = range store.Watch(ctx, out) {
			}
			return last
		}, `read on "` + out + `" (etcdctl role grant-permission ROLE read --prefix ` + out + `)`},
		{commit(adapters.Tx{Then: []adapters.Op{adapters.Delete(b)}}),
			`write on "` + b + `" (etcdctl role grant-permission ROLE write '` + out + `it'\''s b')`},
		{commit(adapters.Tx{If: []adapters.Cond{adapters.Absent(b)}}),
			`read on "` + b + `"`},
		{commit(adapters.Tx{If: []adapters.Cond{adapters.Absent(a)}, Then: []adapters.Op{adapters.Put(a, nil)}, Reads: []string{out}}),
			`readwrite on "` + a + `", read on "` + out + `" (etcdctl role grant-permission ROLE readwrite --prefix ` + out + `)`},
		{commit(adapters.Tx{Then: []adapters.Op{adapters.Delete(u.prefix + "/x"), adapters.Delete(a)}}),
			`(etcdctl role grant-permission ROLE write ` + u.prefix + `/x; etcdctl role grant-permission ROLE write ` + a + `)`},
	} {
		denied(t, c.call, `user "`+u.name+`" needs `, c.want)
	}
}

// etcdLeasesOfOthers: a lease belongs to who may write its keys.
func etcdLeasesOfOthers(t *testing.T, site *etcdSite) {
	owner, other := site.user(t, ""), site.user(t, "")
	mine, _ := owner.store(t)
	theirs, _ := other.store(t)
	ctx, key := within(t, patience), owner.prefix+"/a/k"
	lease, err := mine.Grant(ctx, long)
	require.NoError(t, err)
	put := func(key string) adapters.Tx {
		return adapters.Tx{If: []adapters.Cond{adapters.Absent(key)}, Then: []adapters.Op{adapters.PutLeased(key, nil, lease.ID)}}
	}
	_, err = mine.Commit(ctx, put(key))
	require.NoError(t, err)

	all := "write on all keys that hang on lease " + string(lease.ID)
	denied(t, func() error { return theirs.Revoke(ctx, lease.ID) }, byCertificate, all)
	denied(t, func() error { _, err := theirs.Renew(ctx, lease.ID); return err }, byCertificate, all)
	denied(t, func() error { _, err := theirs.Commit(ctx, put(other.prefix+"/k")); return err },
		byCertificate, "write on all other keys that hang on lease "+string(lease.ID))
	_, err = mine.Renew(ctx, lease.ID)
	require.NoError(t, err)

	// Who has put the keys there himself is told where they are.
	owner.withdraw(t)
	grant := "(etcdctl role grant-permission ROLE write --prefix " + owner.prefix + "/a/)"
	denied(t, func() error { return mine.Revoke(ctx, lease.ID) }, byCertificate, all, grant)
	denied(t, func() error { _, err := mine.Renew(ctx, lease.ID); return err }, byCertificate, all, grant)

	// Without any right, one may still grant a lease, and end one without keys.
	free, err := mine.Grant(ctx, long)
	require.NoError(t, err)
	require.NoError(t, theirs.Revoke(ctx, free.ID))

	owner.giveBack(t)
	require.NoError(t, mine.Revoke(ctx, lease.ID))
	view, err := mine.Read(ctx, key)
	require.NoError(t, err)
	require.Empty(t, view.KVs)
}
