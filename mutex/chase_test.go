// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package mutex_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/session"
)

// failFast ends what a failed test has left behind: its sessions would renew for
// ever in virtual time, and nobody would hear why it failed.
func failFast(mem *memory.Store) {
	time.AfterFunc(10*time.Hour, func() { _ = mem.Close() })
}

// Waiters whose predecessors go, most of them before they can begin to look at
// them, do not queue again and so do not chase each other: each Lock makes one
// slot, however it ends, and the calls per Lock do not grow with the crowd.
func TestWaitersDoNotChaseEachOther(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) { crowd(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func crowd(t *testing.T, rnd *rand.Rand) {
	const processes, each = 6, 10
	mem := memory.New(nil)
	failFast(mem)
	first := start(t, mem)
	hold := first.lock(t)
	var all sync.WaitGroup
	var creates, calls atomic.Int64
	held := 0 // under the lock
	for range processes {
		p := start(t, mem)
		p.faults.Inject(func(c adaptertest.Call) bool {
			if c.Method != "Renew" && c.Method != "Revoke" {
				calls.Add(1)
			}
			if c.Method == "Commit" && len(c.Tx.Then) > 0 && c.Tx.Then[0].Kind == adapters.OpPutLeased {
				creates.Add(1)
			}
			return c.Method == "Watch"
		}, adaptertest.Fault{Before: 200 * time.Millisecond}) // predecessors go meanwhile
		for range each {
			wait := time.Hour
			if rnd.IntN(2) == 0 {
				wait = time.Duration(rnd.IntN(2000)) * time.Millisecond // gives up, in the middle
			}
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), wait)
				defer cancel()
				h, err := p.m.Lock(ctx)
				if errors.Is(err, context.DeadlineExceeded) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				held++
				time.Sleep(30 * time.Millisecond)
				if err := h.Unlock(); err != nil {
					t.Error(err)
				}
			})
		}
	}
	time.Sleep(500 * time.Millisecond)
	require.NoError(t, hold.Unlock())
	all.Wait()
	const locks = processes * each
	require.Greater(t, held, locks/4)
	require.EqualValues(t, locks, creates.Load(), "slots made for %d calls of Lock", locks)
	require.Less(t, calls.Load(), int64(12*locks))
	require.Empty(t, slots(t, mem))
}

// A wait that the backend refuses to go on with takes its slot along.
func TestRefusedWaitLeavesNoKey(t *testing.T) {
	for _, method := range []string{"Watch", "Commit"} {
		synctest.Test(t, func(t *testing.T) {
			mem := memory.New(nil)
			failFast(mem)
			a, b := start(t, mem), start(t, mem)
			hold := a.lock(t)
			refused := errors.Join(adapters.ErrDenied, errors.New("required revision has been compacted"))
			mend := b.faults.Inject(func(c adaptertest.Call) bool {
				// The question whether it is first, and not the deletion.
				return c.Method == method && len(c.Tx.Then) == 0
			}, adaptertest.Fault{Err: refused})
			waiting := b.queue(t.Context())
			if method == "Commit" {
				require.NoError(t, hold.Unlock())
			}
			r := <-waiting
			require.ErrorIs(t, r.err, adapters.ErrDenied)
			mend()
			require.NoError(t, b.s.Check(), "the session is alive, so its lease removes nothing")
			view := slots(t, mem)
			for _, kv := range view {
				inc, err := b.s.Current(t.Context())
				require.NoError(t, err)
				require.NotEqual(t, inc.Lease(), kv.Lease, "an orphan")
			}
			if method == "Watch" {
				require.NoError(t, hold.Unlock())
			}
			h, err := b.m.TryLock(t.Context())
			require.NoError(t, err)
			require.NoError(t, h.Unlock())
		})
	}
}

// A release that the backend refuses for a while is neither forgotten nor lost:
// the caller is told, every time that it asks, and the next one is let in once
// the backend is well, though the session and its lease live on.
func TestReleaseThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		failFast(mem)
		a, b := start(t, mem), start(t, mem)
		inc, err := a.s.Current(t.Context())
		require.NoError(t, err)
		hold := a.lock(t)
		next := b.queue(t.Context())
		mend := a.faults.Inject(func(c adaptertest.Call) bool { return c.Method == "Commit" },
			adaptertest.Fault{Err: errors.New("no leader")})
		for range 3 {
			require.ErrorIs(t, hold.Unlock(), adapters.ErrUnknown)
		}
		time.Sleep(30 * time.Second)
		require.Empty(t, next)
		require.Len(t, slots(t, mem), 2)
		mend()
		began := time.Now()
		r := <-next
		require.NoError(t, r.err)
		require.LessOrEqual(t, time.Since(began), 2*time.Second)
		again, err := a.s.Current(t.Context())
		require.NoError(t, err)
		require.Same(t, inc, again, "it was released, not lost")
		require.Equal(t, session.Active, a.s.State())
		require.NoError(t, r.hold.Unlock())
	})
}
