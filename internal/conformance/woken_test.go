// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/internal/servers"
)

// TestWokenLeaderEndsNothing: a leader of etcd that is frozen past a TTL and
// woken may end leases that its successor has renewed. Leases that a bare client
// renews beside ours die of it in some rounds; ours, which are on others by then,
// in none, and what can be seen of their keys is as it was.
func TestWokenLeaderEndsNothing(t *testing.T) {
	t.Parallel()
	rounds := 3
	if os.Getenv("QUORATE_LONG") != "" {
		rounds = 30
	}
	cluster := servers.StartEtcdWith(t, 3, calm)
	client := cluster.Client(t)
	store, _, _ := open(t, cluster.Endpoints(), nil)
	const each, ttl = 50, 3
	var ours []adapters.LeaseID
	var bare []clientv3.LeaseID
	before := map[string]adapters.KV{}
	key := func(i, j int) string { return fmt.Sprintf("ours/%d/%d", i, j) }
	for i := range each {
		lease, err := store.Grant(t.Context(), ttl*time.Second)
		require.NoError(t, err)
		ours = append(ours, lease.ID)
		for j := range 3 {
			_, err := store.Commit(t.Context(), adapters.Tx{
				If:   []adapters.Cond{adapters.Absent(key(i, j))},
				Then: []adapters.Op{adapters.PutLeased(key(i, j), []byte(key(i, j)), lease.ID)},
			})
			require.NoError(t, err)
		}
	}
	view, err := store.Read(t.Context(), "ours/")
	require.NoError(t, err)
	for _, kv := range view.KVs {
		before[kv.Key] = kv
	}
	// Who loses a lease has stopped trusting it by then.
	var mu sync.Mutex
	trusted, over := map[adapters.LeaseID]time.Time{}, map[adapters.LeaseID]bool{}
	renew := func(ctx context.Context, id adapters.LeaseID) {
		sent := time.Now()
		if _, err := store.Renew(ctx, id); err == nil {
			mu.Lock()
			defer mu.Unlock()
			trusted[id] = sent.Add(ttl * time.Second)
		}
	}
	watching, cancel := context.WithCancel(t.Context())
	gone := client.Watch(watching, "ours/", clientv3.WithPrefix(), clientv3.WithFilterPut())
	var wg sync.WaitGroup
	wg.Go(func() {
		for resp := range gone {
			for _, e := range resp.Events {
				id := before[string(e.Kv.Key)].Lease
				mu.Lock()
				if early := time.Until(trusted[id]); early > 0 {
					t.Errorf("%s is gone %v before its owner stops trusting it", e.Kv.Key, early)
				}
				over[id] = true
				mu.Unlock()
			}
		}
	})
	died, hit := 0, 0
	for round := range rounds {
		bare = bare[:0]
		for i := range each {
			l, err := client.Grant(t.Context(), ttl)
			require.NoError(t, err)
			bare = append(bare, l.ID)
			_, err = client.Put(t.Context(), fmt.Sprintf("bare/%d/%d", round, i), "", clientv3.WithLease(l.ID))
			require.NoError(t, err)
		}
		leader, err := cluster.Leader(within(t, 20*time.Second))
		require.NoError(t, err)
		others := slices.DeleteFunc(slices.Clone(cluster.Endpoints()), func(e string) bool { return e == cluster.Member(leader).Endpoint() })
		client.SetEndpoints(others...)
		stopOurs := keep(t, ours, renew)
		stopBare := keep(t, bare, func(ctx context.Context, id clientv3.LeaseID) { _, _ = client.KeepAliveOnce(ctx, id) })
		<-time.After(time.Second)
		cluster.Member(leader).Stop()
		<-time.After(ttl*time.Second + 1500*time.Millisecond)
		cluster.Member(leader).Cont()
		<-time.After(time.Second)
		stopBare()
		got, err := client.Get(t.Context(), fmt.Sprintf("bare/%d/", round), clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		if gone := each - int(got.Count); gone > 0 {
			died, hit = died+gone, hit+1
		}
		require.NoError(t, cluster.Ready(within(t, 20*time.Second)))
		client.SetEndpoints(cluster.Endpoints()...)
		for _, l := range bare {
			_, _ = client.Revoke(t.Context(), l)
		}

		view, err := store.Read(t.Context(), "ours/")
		require.NoError(t, err)
		mu.Lock()
		lost := maps.Clone(over)
		mu.Unlock()
		// The move takes some calls, of which each third one hangs while it lasts.
		require.Less(t, len(lost), each/5, "leases that were renewed are gone")
		for _, kv := range view.KVs {
			was := before[kv.Key]
			if lost[was.Lease] {
				continue
			}
			require.Equal(t, was.Created, kv.Created, kv.Key)
			require.Equal(t, was.Value, kv.Value)
			require.Equal(t, was.Lease, kv.Lease, "its owner sees one lease")
			// A condition on what the owner knows holds, although the key was written.
			_, err := store.Commit(t.Context(), adapters.Tx{If: []adapters.Cond{adapters.Unchanged(kv.Key, was.Mod), adapters.HeldBy(kv.Key, was.Lease)}, Reads: []string{kv.Key}})
			require.NoError(t, err, kv.Key)
		}
		stopOurs()
	}
	cancel()
	wg.Wait()
	t.Logf("%d rounds: the woken leader ended %d leases of a bare client, in %d rounds; of ours %d ended, all of which nobody trusted any more", rounds, died, hit, len(over))
	for _, id := range ours {
		require.NoError(t, store.Revoke(t.Context(), id))
	}
	left, err := client.Get(t.Context(), "ours/", clientv3.WithPrefix())
	require.NoError(t, err)
	require.Empty(t, left.Kvs)
	// One whose grant was not answered has no keys, and ends by itself.
	require.Eventually(t, func() bool {
		leases, err := client.Leases(t.Context())
		return err == nil && len(leases.Leases) == 0
	}, (ttl+2)*time.Second, 50*time.Millisecond, "a lease is left that nobody needs")
}

// keep renews leases until it is stopped, each every 300 ms.
func keep[ID any](t *testing.T, leases []ID, renew func(context.Context, ID)) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, id := range leases {
		wg.Go(func() {
			for ticks := time.NewTicker(300 * time.Millisecond); ctx.Err() == nil; {
				call, done := context.WithTimeout(ctx, 500*time.Millisecond)
				renew(call, id)
				done()
				select {
				case <-ticks.C:
				case <-ctx.Done():
				}
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}
