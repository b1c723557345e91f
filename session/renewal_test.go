// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/session"
)

// renewals counts those of each lease, through whatever the network does.
type renewals struct {
	mu sync.Mutex
	of map[adapters.LeaseID]int
}

func (r *renewals) count(f *adaptertest.Faults) {
	r.of = map[adapters.LeaseID]int{}
	f.Inject(func(c adaptertest.Call) bool {
		if c.Method == "Renew" {
			r.mu.Lock()
			r.of[c.Lease]++
			r.mu.Unlock()
		}
		return false
	}, adaptertest.Fault{})
}

func (r *renewals) within(d time.Duration) map[adapters.LeaseID]int {
	r.mu.Lock()
	clear(r.of)
	r.mu.Unlock()
	time.Sleep(d)
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[adapters.LeaseID]int{}
	for id, n := range r.of {
		seen[id] = n
	}
	return seen
}

// failFast ends what a failed test has left behind: its sessions would renew for
// ever in virtual time, and nobody would hear why it failed.
func failFast(mem *memory.Store) {
	time.AfterFunc(10*time.Hour, func() { _ = mem.Close() })
}

// However often a session was lost, and in whatever way, one loop renews one
// lease; none goes on for a lease that is over, and none after Close.
func TestOneLoopRenewsOneLease(t *testing.T) {
	const pace = 10 * time.Second / 3 // of the default TTL
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		failFast(b.mem)
		var r renewals
		r.count(b.faults)
		s := b.open(t, session.Options{})
		for i := range 20 {
			inc := current(t, s)
			switch i % 4 {
			case 0:
				b.mem.Expire(inc.Lease())
			case 1:
				b.faults.Partition(true, true)
				<-inc.Context().Done()
				b.faults.Heal()
			case 2: // in the middle of a renewal
				b.faults.Inject(func(c adaptertest.Call) bool { return c.Method == "Renew" },
					adaptertest.Fault{After: time.Second, Times: 1})
				time.Sleep(pace + 100*time.Millisecond)
				b.mem.Expire(inc.Lease())
			case 3: // renewals that fail fast are tried again, and still by one loop
				mend := b.faults.Inject(func(c adaptertest.Call) bool { return c.Method == "Renew" },
					adaptertest.Fault{Err: errors.New("no leader")})
				<-inc.Context().Done()
				mend()
			}
			<-inc.Context().Done()
			next := current(t, s)
			require.NotEqual(t, inc.Lease(), next.Lease())
			seen := r.within(10 * pace)
			require.Len(t, seen, 1, "leases that are renewed")
			require.InDelta(t, 10, seen[next.Lease()], 1)
		}
		last := current(t, s)
		require.NoError(t, s.Close())
		require.Empty(t, r.within(time.Hour))
		require.Error(t, last.Check())
		b.requireEmpty(t)
	})
}

// Each life of a session has a key and an inbox of its own, with what is true of
// it, under names as long as those of the first, and nothing of the last is left.
func TestKeysAreMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		failFast(b.mem)
		s := b.open(t, session.Options{Owner: "me"})
		var first int
		names := map[string]bool{}
		for range 20 {
			inc := current(t, s)
			synctest.Wait()
			view, err := b.mem.Read(t.Context(), "quorate/")
			require.NoError(t, err)
			require.Len(t, view.KVs, 2)
			length := 0
			for _, kv := range view.KVs {
				require.Equal(t, inc.Lease(), kv.Lease)
				require.Contains(t, kv.Key, inc.ID())
				require.False(t, names[kv.Key], "used before")
				names[kv.Key] = true
				length += len(kv.Key)
			}
			if first == 0 {
				first = length
			}
			require.Equal(t, first, length)
			b.mem.Expire(inc.Lease())
			<-inc.Context().Done()
		}
		current(t, s)
	})
}
