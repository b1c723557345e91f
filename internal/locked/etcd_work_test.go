// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/authpb"

	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// etcdLeast: the file gives one right, to exactly what is below the prefix.
func etcdLeast(t *testing.T, site *etcdSite) {
	for _, password := range []string{"", "secret"} {
		u, ctx := site.user(t, password), within(t, patience)
		role, err := site.root.RoleGet(ctx, u.role)
		require.NoError(t, err)
		require.Len(t, role.Perm, 1)
		require.Equal(t, authpb.READWRITE, role.Perm[0].PermType)
		require.Equal(t, u.prefix+"/", string(role.Perm[0].Key))
		require.Equal(t, u.prefix+"0", string(role.Perm[0].RangeEnd), "0 follows the slash")
		user, err := site.root.UserGet(ctx, u.name)
		require.NoError(t, err)
		require.Equal(t, []string{u.role}, user.Roles)

		store, _ := u.store(t)
		_, err = store.Read(ctx, u.prefix+"/")
		require.NoError(t, err)
		for _, name := range []string{u.prefix, u.prefix + "-2/", u.prefix + "0", "quorate/", "a"} {
			denied(t, func() error { _, err := store.Read(ctx, name); return err })
		}
	}
}

func etcdLock(t *testing.T, site *etcdSite) {
	u := site.user(t, "")
	waiting := make(chan session.Place, 1)
	a := u.session(t, session.Options{})
	b := u.session(t, session.Options{Observer: &session.Observer{Wait: func(p session.Place) { waiting <- p }}})
	ctx := within(t, patience)
	ma, mb := etcdMutex(t, a, "work/lock", false), etcdMutex(t, b, "work/lock", false)

	first, err := ma.Lock(ctx)
	require.NoError(t, err)
	_, err = mb.TryLock(ctx)
	require.ErrorIs(t, err, mutex.ErrLocked)
	next := etcdLocks(ctx, mb)
	get(t, waiting, "the second to queue")
	require.NoError(t, first.Check())
	gave(t, first.Unlock())
	second := get(t, next, "the lock")
	require.NoError(t, second.err)
	require.Greater(t, second.Token(), first.Token())
	gave(t, second.Unlock())
	require.NoError(t, mb.Do(ctx, func(ctx context.Context, h *mutex.Hold) error { return h.Check() }))

	// A message, which is a write to the other's inbox.
	got := make(chan session.Message, 1)
	b.Handle("yield", func(m session.Message) { got <- m })
	inc, err := b.Current(ctx)
	require.NoError(t, err)
	require.NoError(t, a.Send(ctx, inc.ID(), session.Message{Kind: "yield", Body: "please"}))
	require.Equal(t, "please", get(t, got, "the message").Body)

	// A lease that the program brings along, and that the user granted himself.
	store, _ := u.store(t)
	lease, err := store.Grant(ctx, long)
	require.NoError(t, err)
	adopted := etcdSession(t, store, u.prefix, session.Options{Lease: lease.ID})
	hold, err := etcdMutex(t, adopted, "work/lock", false).Lock(ctx)
	require.NoError(t, err)
	gave(t, hold.Unlock())
	require.NoError(t, adopted.Close())

	// Closing leaves nothing.
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	view, err := site.rootStore(t).Read(ctx, u.prefix+"/")
	require.NoError(t, err)
	require.Empty(t, view.KVs)
}

func etcdElection(t *testing.T, site *etcdSite) {
	u := site.user(t, "")
	a, b := u.session(t, session.Options{}), u.session(t, session.Options{})
	ctx, cancel := context.WithCancel(within(t, patience))
	ea, eb := etcdOffice(t, a, "work/office", "a", false), etcdOffice(t, b, "work/office", "b", false)
	_, err := eb.Leader(ctx)
	require.ErrorIs(t, err, election.ErrNoLeader)
	seen, ended := etcdObserve(ctx, eb)
	require.True(t, get(t, seen, "nobody").Nobody())

	term, err := ea.Campaign(ctx)
	require.NoError(t, err)
	require.Equal(t, "a", get(t, seen, "the leader").Value)
	require.NoError(t, term.Proclaim(ctx, "a, elsewhere"))
	require.Equal(t, "a, elsewhere", get(t, seen, "the new value").Value)

	leads := make(chan uint64, 1)
	led := async(func() error {
		return eb.Lead(ctx, func(_ context.Context, term *election.Term) error {
			leads <- term.Token()
			return nil
		})
	})
	gave(t, term.Resign())
	require.Greater(t, get(t, leads, "the hand-over"), term.Token())
	require.NoError(t, get(t, led, "the end of the second term"))
	cancel()
	require.ErrorIs(t, get(t, ended, "the end of Observe"), context.Canceled)
}

type etcdLocked struct {
	*mutex.Hold
	err error
}

func etcdLocks(ctx context.Context, m *mutex.Mutex) <-chan etcdLocked {
	return async(func() etcdLocked {
		h, err := m.Lock(ctx)
		return etcdLocked{h, err}
	})
}

// etcdObserve returns what Observe yields and how it ends.
func etcdObserve(ctx context.Context, e *election.Election) (<-chan election.Leader, <-chan error) {
	seen := make(chan election.Leader, 64)
	return seen, async(func() error {
		for l, err := range e.Observe(ctx) {
			if err != nil {
				return err
			}
			seen <- l
		}
		return nil
	})
}
