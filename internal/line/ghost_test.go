// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/session"
)

// A process that lost its session and is back finds the slot of its last life
// still there: the lease has not run out yet, and could not be given back. That
// slot is somebody else's. It gives no place, whether it is tried for or waited
// for, and is not taken away; the new life's turn comes when it has gone, under
// a larger token. The store ends leases as etcd does, and as Consul does.
func TestSlotOfTheLastLifeIsSomebodyElses(t *testing.T) {
	for name, c := range map[string]struct {
		factor int
		tag    uint64 // of the lock key; 0 for a queue
	}{
		"queue":                       {1, 0},
		"queue, leases last two TTLs": {2, 0},
		"lock key":                    {2, lockTag},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { ghost(t, c.factor, c.tag) })
		})
	}
}

func ghost(t *testing.T, factor int, tag uint64) {
	limits := memory.DefaultLimits()
	limits.ExpiryFactor, limits.LockTag = factor, tag
	mem := memory.New(&memory.Options{Limits: &limits})
	// Ends what a failed test has left behind: its session would renew for ever in
	// virtual time, and nobody would hear why it failed.
	time.AfterFunc(10*time.Hour, func() { _ = mem.Close() })
	net := adaptertest.Wrap(mem)
	s, err := session.Open(t.Context(), net, &session.Options{Clock: session.MonotonicClock(), Policy: session.LetGo})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	l, err := New(s, "mutex", "app/leader", tag != 0)
	require.NoError(t, err)
	first, err := l.Join(t.Context(), "first life")
	require.NoError(t, err)
	old := ours(t, l, mem)
	require.Len(t, old, 1)

	net.Inject(func(c adaptertest.Call) bool { return c.Method == "Revoke" && c.Lease == old[0].Lease }, adaptertest.Fault{Before: time.Hour})
	mend := net.Inject(nil, adaptertest.Fault{Err: errors.New("away")})
	<-first.Context().Done()
	require.ErrorIs(t, first.Leave(), session.ErrLost)
	mend()
	inc, err := s.Current(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, old[0].Lease, inc.Lease())
	require.Equal(t, old, ours(t, l, mem), "the old slot is there, or this shows nothing")

	again, err := l.Try(t.Context(), "")
	require.NoError(t, err)
	require.Nil(t, again, "took its own slot of the last life for the place")
	got := make(chan *Slot, 1)
	go func() {
		slot, err := l.Join(context.Background(), "second life")
		if err != nil {
			t.Error(err)
		}
		got <- slot
	}()
	synctest.Wait()
	require.Empty(t, got, "let in by its own slot of the last life")
	require.Equal(t, old[0], ours(t, l, mem)[0], "not ours to touch")
	require.ErrorIs(t, first.Check(), session.ErrLost)

	second := <-got
	require.NotContains(t, mem.Leases(), old[0].Lease)
	require.NoError(t, second.Check())
	require.Greater(t, second.Token(), first.Token())
	require.ErrorIs(t, first.Check(), session.ErrLost)
	require.ErrorIs(t, first.Leave(), session.ErrLost)
	require.NoError(t, second.Check(), "the late word of the last life changes nothing")
	require.Len(t, ours(t, l, mem), 1)
	require.NoError(t, second.Leave())
}

// ours are the contenders of a line, the oldest first.
func ours(t *testing.T, l *Line, mem *memory.Store) []adapters.KV {
	t.Helper()
	view, err := mem.Read(t.Context(), l.Dir())
	require.NoError(t, err)
	return l.Contenders(view)
}
