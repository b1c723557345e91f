// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/links"
)

var waitScenarios = []scenario{
	{
		name: "context ends behind a black hole", what: "A waiter's link swallows everything, and then its context ends.",
		on: allLocks, convicts: []*kind{theirMutex, theirLock},
		run: contextBehindBlackHole,
	},
	{
		name: "session dies while it waits", what: "A waiter's lease is revoked at the server; four seconds later the holder gives the lock back.",
		on: kinds, convicts: []*kind{theirMutex, theirElection, theirLock},
		run: sessionDies,
	},
	{
		name: "middle waiter dies", what: "Of two who wait, the first is killed. Later the holder gives the lock back. (api.Lock has no queue to have a middle.)",
		on:  allQueues,
		run: middleDies,
	},
	{
		name: "waiter's key deleted by hand", what: "Of two who wait, the first one's key is deleted from outside. Then the holder gives the lock back. (A waiter of api.Lock has no key.)",
		on: allQueues, convicts: []*kind{theirMutex, theirElection},
		run: waiterRobbed,
	},
	{
		name: "holder's key deleted by hand", what: "The holder's key is deleted from outside while another waits: who does that overrides the lock, and only the token protects.",
		on: allLocks, convicts: []*kind{theirMutex},
		run: holderRobbed,
	},
	{
		name: "release and death at once", what: "The holder's process is killed in the moment in which it gives the lock back.",
		on:  allLocks,
		run: releaseAndDeath,
	},
	{
		name: "two handles on one session", what: "One session, two locks of the same name: the second asks while the first is held, and its context ends after half a second.",
		on: allLocks, convicts: []*kind{theirMutex, theirLock},
		run: twoHandles,
	},
}

func contextBehindBlackHole(tr *trial) {
	tr.site.TTL = calm
	tr.holder()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	second, _, l := tr.waiter(ctx)
	l.Swallow(links.Requests, links.Answers)
	cancel()
	tr.ended(second, now())
}

func sessionDies(tr *trial) {
	first, _, _ := tr.holder()
	second, c, _ := tr.waiter(context.Background())
	tr.revoke(c)
	tr.ended(second, now())
	third, _, _ := tr.waiter(context.Background())
	require.NoError(tr, first.gives(tr.ctx()))
	tr.gets(third)
	tr.row.overlapped(time.Duration(first.last.Load()) - third.acquired)
	quicker := !within(patience/4, second.done)
	if quicker {
		// api.Lock looks at its session only when it sees the lock free, and the third
		// one was quicker.
		require.NoError(tr, third.gives(tr.ctx()))
		require.True(tr, within(patience, second.done))
	}
	if second.has() {
		tr.row.fault("told that it has the lock, without a lease and without a key")
		if !quicker {
			tr.taken(second, third)
		}
	}
}

func middleDies(tr *trial) {
	first, _, _ := tr.holder()
	second := tr.process(0)
	tr.eventually("a wait", func() bool { return tr.keys() == 2 })
	third, _, _ := tr.waiter(context.Background())
	second.kill()
	tr.eventually("the end of a lease", func() bool { return tr.keys() == 2 })
	require.False(tr, within(200*time.Millisecond, third.done), "it has the lock too early")
	require.NoError(tr, first.gives(tr.ctx()))
	tr.ended(third, now())
	tr.gets(third)
	tr.row.overlapped(time.Duration(first.last.Load()) - third.acquired)
}

func waiterRobbed(tr *trial) {
	first, _, _ := tr.holder()
	second, _, _ := tr.waiter(context.Background())
	tr.rob()
	third, _, _ := tr.waiter(context.Background())
	require.NoError(tr, first.gives(tr.ctx()))
	given := now()
	// Both can be next: the robbed one has to stand in line again.
	var next, last *party
	select {
	case <-second.done:
		next, last = second, third
	case <-third.done:
		next, last = third, second
	}
	tr.ended(next, given)
	if next.err != nil {
		tr.row.fault("gives up with a live session: %v", next.err)
		tr.gets(last)
		return
	}
	if within(bound, last.done) && last.has() {
		tr.taken(next, last)
		return
	}
	if within(0, last.done) {
		tr.row.fault("gives up with a live session: %v", last.err)
		return
	}
	require.NoError(tr, next.gives(tr.ctx()))
	tr.ended(last, now())
	tr.gets(last)
	tr.row.overlapped(time.Duration(next.last.Load()) - last.acquired)
}

func holderRobbed(tr *trial) {
	tr.row.byHand = true
	first, _, _ := tr.holder()
	second, _, _ := tr.waiter(context.Background())
	tr.rob()
	tr.next(first, second, now())
}

// rob deletes the key of a party: of the only waiter, or, if nobody but the
// holder is the target (byHand), his.
func (tr *trial) rob() {
	tr.Helper()
	slots := tr.kind.slots(tr.site)
	if tr.ground.etcd != nil {
		order := clientv3.SortDescend
		if tr.row.byHand {
			order = clientv3.SortAscend
		}
		resp, err := tr.ground.etcd.Get(tr.ctx(), slots, clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByCreateRevision, order))
		require.NoError(tr, err)
		require.Len(tr, resp.Kvs, 2)
		_, err = tr.ground.etcd.Delete(tr.ctx(), string(resp.Kvs[0].Key))
		require.NoError(tr, err)
		return
	}
	kvs, _, err := tr.ground.consul.KV().List(slots, (&api.QueryOptions{RequireConsistent: true}).WithContext(tr.ctx()))
	require.NoError(tr, err)
	victim := kvs[0]
	for _, kv := range kvs {
		if later := kv.CreateIndex > victim.CreateIndex; later != tr.row.byHand {
			victim = kv
		}
	}
	_, err = tr.ground.consul.KV().Delete(victim.Key, (&api.WriteOptions{}).WithContext(tr.ctx()))
	require.NoError(tr, err)
}

func releaseAndDeath(tr *trial) {
	for i := range 3 {
		first := tr.process(0)
		tr.gets(first.party)
		second, _, _ := tr.waiter(context.Background())
		first.stop() // tells it to give the lock back
		// Sooner than that can be done, at about that time, and later.
		within(time.Duration(i)*1500*time.Microsecond, nil)
		first.kill()
		since := now()
		tr.next(first.party, second, since)
		require.NoError(tr, second.gives(tr.ctx()))
	}
}

func twoHandles(tr *trial) {
	tr.site.TTL = calm
	first, c, _ := tr.holder(func(at *site) { at.Shared = true })
	ctx := tr.until(500 * time.Millisecond)
	second := tr.tries(ctx, c)
	<-ctx.Done()
	tr.ended(second, now())
	if second.has() {
		tr.taken(first, second)
	}
}
