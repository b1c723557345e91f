// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/internal/servers"
)

// TestConsulLeaderFrozen: while a leader is frozen no call outlives its
// deadline, asked of the leader or of a follower that passes the call on to it;
// and when it wakes, and believes for a moment that it still leads, no read of
// ours shows what it knows.
func TestConsulLeaderFrozen(t *testing.T) {
	t.Parallel()
	const rounds, deadline, late = 4, 300 * time.Millisecond, 500 * time.Millisecond
	c := servers.StartConsul(t, 3)
	const key = "frozen/k"
	first, _ := openConsul(t, c, 0, &consul.Options{MinTTL: shortTTL})
	_, err := first.Commit(within(t, patience), adapters.Tx{If: []adapters.Cond{adapters.Absent(key)}, Then: []adapters.Op{adapters.Put(key, []byte("0"))}})
	require.NoError(t, err)
	for round := range rounds {
		leader, err := c.Leader(within(t, patience))
		require.NoError(t, err)
		old, _ := openConsul(t, c, leader, &consul.Options{MinTTL: shortTTL})
		other, _ := openConsul(t, c, (leader+1)%3, &consul.Options{MinTTL: shortTTL})
		lease, err := old.Grant(within(t, patience), time.Minute)
		require.NoError(t, err)
		c.Member(leader).Stop()
		for who, store := range map[string]*consul.Store{"leader": old, "follower": other} {
			for what, call := range map[string]func(ctx context.Context) error{
				"Read":   func(ctx context.Context) error { _, err := store.Read(ctx, key); return err },
				"Commit": func(ctx context.Context) error { return bump(ctx, store, "frozen/none", "x") },
				"Grant":  func(ctx context.Context) error { _, err := store.Grant(ctx, time.Second); return err },
				"Renew":  func(ctx context.Context) error { _, err := store.Renew(ctx, lease.ID); return err },
				"Watch": func(ctx context.Context) error {
					for _, err := range store.Watch(ctx, key) {
						return err
					}
					return nil
				},
			} {
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				err := call(ctx)
				cancel()
				require.Less(t, time.Since(began), deadline+late, "%s asked of the %s", what, who)
				if who == "leader" {
					require.Error(t, err, what)
				}
			}
		}

		now := fmt.Sprint(round + 1)
		for began := time.Now(); ; { // until there is a new leader
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := bump(ctx, other, key, now)
			cancel()
			if err == nil {
				break
			}
			require.Less(t, time.Since(began), patience, "no new leader: %v", err)
		}
		reads, stale := wake(t, c, leader, old, key, now)
		t.Logf("round %d: %d reads of ours through the old leader, none of the past; %d of Consul's default reads were", round, reads, stale)
		require.NoError(t, c.Ready(within(t, patience)))
	}
}

// bump gives key the value, if it has another one now.
func bump(ctx context.Context, store *consul.Store, key, value string) error {
	view, err := store.Read(ctx, key)
	if err != nil {
		return err
	}
	kv, there := view.Get(key)
	switch {
	case there && string(kv.Value) == value:
		return nil
	case !there:
		_, err = store.Commit(ctx, adapters.Tx{If: []adapters.Cond{adapters.Absent(key)}, Then: []adapters.Op{adapters.Put(key, []byte(value))}})
	default:
		_, err = store.Commit(ctx, adapters.Tx{If: []adapters.Cond{adapters.Unchanged(key, kv.Mod)}, Then: []adapters.Op{adapters.PutKeep(key, []byte(value))}})
	}
	return err
}

// wake lets the old leader go on while many read through it. It returns how
// many reads of ours succeeded, and how many of Consul's default reads showed
// the past.
func wake(t *testing.T, c *servers.Consul, leader int, store *consul.Store, key, now string) (reads, stale int64) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	var ours, past atomic.Int64
	check := func(view adapters.View) {
		ours.Add(1)
		if kv, _ := view.Get(key); string(kv.Value) != now {
			t.Errorf("a read shows %q, %q was committed before", kv.Value, now)
		}
	}
	const enough = 200
	for range 8 {
		wg.Go(func() {
			for ours.Load() < enough && ctx.Err() == nil {
				if view, err := store.Read(ctx, key); err == nil {
					check(view)
				}
			}
		})
		wg.Go(func() {
			for ours.Load() < enough && ctx.Err() == nil {
				for view, err := range store.Watch(ctx, key) {
					if err == nil {
						check(view)
					}
					break
				}
			}
		})
		client := c.Client(t, leader)
		wg.Go(func() {
			for ours.Load() < enough && ctx.Err() == nil {
				tctx, stop := context.WithTimeout(ctx, 100*time.Millisecond)
				kv, _, err := client.KV().Get(key, new(api.QueryOptions).WithContext(tctx))
				stop()
				if err == nil && kv != nil && string(kv.Value) != now {
					past.Add(1)
				}
			}
		})
	}
	c.Member(leader).Cont()
	wg.Wait()
	require.NoError(t, errors.Join(ctx.Err()))
	return ours.Load(), past.Load()
}
