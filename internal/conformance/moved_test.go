// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/etcd"
	"github.com/quorate/quorate/internal/servers"
)

// TestLeaseMovesUnseen: after each change of etcd's leader the keys of a lease
// move to another one, here while calls are given up at any time. Their owner sees
// nothing of it: what he knows of them still holds, and what he changes meanwhile
// is changed once.
func TestLeaseMovesUnseen(t *testing.T) {
	t.Parallel()
	cluster := servers.StartEtcdWith(t, 1, calm)
	store, client, _ := open(t, cluster.Endpoints(), nil)
	ctx := within(t, 2*time.Minute)
	lease, err := store.Grant(ctx, 30*time.Second)
	require.NoError(t, err)
	const keys = 150 // more than fit into one transaction
	key := func(i int) string { return fmt.Sprintf("k/%03d", i) }
	for i := range keys {
		_, err := store.Commit(ctx, adapters.Tx{If: []adapters.Cond{adapters.Absent(key(i))}, Then: []adapters.Op{adapters.PutLeased(key(i), []byte("v"), lease.ID)}})
		require.NoError(t, err)
	}
	view, err := store.Read(ctx, "k/")
	require.NoError(t, err)
	was := view.KVs
	rng := rand.New(rand.NewPCG(1, 2))
	for restart := range 3 {
		cluster.Member(0).Kill()
		cluster.Member(0).Restart()
		require.NoError(t, cluster.Ready(within(t, 20*time.Second)))
		_, err := store.Read(ctx, "k/")
		require.NoError(t, err)

		stop, counted := writes(t, store, lease.ID, key(restart))
		tries := 0
		for ok := false; !ok; tries++ {
			patience := 5 * time.Second
			if tries < 20 { // of these some come far, and what they sent last may be applied or not
				patience = time.Duration(rng.IntN(15000)) * time.Microsecond
			}
			call, cancel := context.WithTimeout(ctx, patience)
			_, err := store.Renew(call, lease.ID)
			cancel()
			require.NotErrorIs(t, err, adapters.ErrLeaseLost)
			ok = err == nil && tries >= 20
		}
		written := counted(stop)
		t.Logf("restart %d: moved after %d renewals, %d writes to one of the keys meanwhile", restart, tries, written)

		view, err = store.Read(ctx, "k/")
		require.NoError(t, err)
		require.Equal(t, keys, len(view.KVs))
		for i, kv := range view.KVs {
			require.Equal(t, lease.ID, kv.Lease)
			require.Equal(t, was[i].Created, kv.Created)
			changed := i <= restart
			err := holds(store, adapters.Unchanged(kv.Key, was[i].Mod), adapters.HeldBy(kv.Key, lease.ID))
			if changed {
				require.ErrorIs(t, err, adapters.ErrConflict, "%s was written by its owner", kv.Key)
			} else {
				require.NoError(t, err, "%s was only moved", kv.Key)
			}
		}
		raw, err := client.Get(ctx, "k/", clientv3.WithPrefix())
		require.NoError(t, err)
		hang := map[int64]int{}
		for _, kv := range raw.Kvs {
			hang[kv.Lease]++
		}
		require.Len(t, hang, 1, "all are on one lease")
		for id := range hang {
			require.NotEqual(t, fmt.Sprintf("%x", id), string(lease.ID), "which is another one now")
		}
	}
	require.NoError(t, store.Revoke(ctx, lease.ID))
	view, err = store.Read(ctx, "k/")
	require.NoError(t, err)
	require.Empty(t, view.KVs)
}

// writes has the owner write one of his keys until he is stopped, each value
// once, and then counts how often: what was answered is there, and no two values
// have the place of one.
func writes(t *testing.T, store *etcd.Store, lease adapters.LeaseID, key string) (stop func(), counted func(func()) int) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var values []string
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			v := fmt.Sprint("v", i)
			call, done := context.WithTimeout(ctx, 100*time.Millisecond)
			_, err := store.Commit(call, adapters.Tx{If: []adapters.Cond{adapters.HeldBy(key, lease)}, Then: []adapters.Op{adapters.PutKeep(key, []byte(v))}})
			done()
			if err == nil {
				values = append(values, v)
			} else if errIs(err, adapters.ErrConflict, adapters.ErrLeaseLost) {
				t.Errorf("%s: %v", key, err)
			}
		}
	})
	return cancel, func(stop func()) int {
		stop()
		wg.Wait()
		require.NotEmpty(t, values)
		return len(slices.Compact(values))
	}
}

// holds says whether conditions hold now.
func holds(store *etcd.Store, conds ...adapters.Cond) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := store.Commit(ctx, adapters.Tx{If: conds, Reads: []string{conds[0].Key}})
	return err
}

func errIs(err error, any ...error) bool {
	return slices.ContainsFunc(any, func(e error) bool { return errors.Is(err, e) })
}
