// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/etcd"
	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestWatchAcrossCompaction cuts a watch off, changes what it watches, drops
// that history, and lets it return: it has to read the state anew.
func TestWatchAcrossCompaction(t *testing.T) {
	t.Parallel()
	cluster := servers.StartEtcd(t, 1)
	direct := cluster.Client(t)
	l := proxy(t, cluster.Endpoints()[0])
	store, _, _ := open(t, []string{l.addr}, nil)
	ctx, stop := context.WithCancel(t.Context())
	exact, subtree := follow(ctx, store, "d/a"), follow(ctx, store, "d/")
	defer func() { stop(); drain(exact); drain(subtree) }()

	put(t, direct, "d/a", "1")
	until(t, exact, 10*time.Second, "d/a", "1")
	until(t, subtree, 10*time.Second, "d/a", "1")
	for round := range 3 {
		before := put(t, direct, "d/b", fmt.Sprint(round))
		old := until(t, subtree, 10*time.Second, "d/b", fmt.Sprint(round))
		was, there := old.view.Get("d/a")
		require.True(t, there)

		l.cut(true)
		_, err := direct.Delete(within(t, 10*time.Second), "d/a")
		require.NoError(t, err)
		value := fmt.Sprint("after ", round)
		put(t, direct, "d/a", value)
		put(t, direct, "other", value) // so that what comes next is newer than all of it
		compacted, err := cluster.Compact(within(t, 10*time.Second))
		require.NoError(t, err)
		require.Greater(t, compacted, before)
		l.cut(false)

		for _, ch := range []<-chan seen{exact, subtree} {
			s := until(t, ch, 10*time.Second, "d/a", value)
			kv, _ := s.view.Get("d/a")
			require.Greater(t, kv.Created, was.Created, "deleted and made again while nobody looked")
		}
	}
}

// TestWatchThroughSilence: a link that swallows everything, without an error,
// is noticed, and so is its return.
func TestWatchThroughSilence(t *testing.T) {
	t.Parallel()
	cluster := servers.StartEtcdWith(t, 2, calm)
	direct := cluster.Client(t)
	eps := cluster.Endpoints()
	bad := proxy(t, eps[0])
	good := proxy(t, eps[1])
	store, _, traffic := open(t, []string{bad.addr, good.addr}, &etcd.Options{ProbeEvery: 600 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	ch := follow(ctx, store, "k")
	defer func() { stop(); drain(ch) }()
	// Whichever of the two the stream is on, it is swallowed once.
	for i, l := range []*link{bad, good, bad, good} {
		put(t, direct, "k", fmt.Sprint("before ", i))
		until(t, ch, 10*time.Second, "k", fmt.Sprint("before ", i))
		l.swallow(true)
		put(t, direct, "k", fmt.Sprint("during ", i))
		until(t, ch, 5*time.Second, "k", fmt.Sprint("during ", i))
		l.swallow(false)
	}
	require.Greater(t, traffic.watchStreams.Load(), int64(1), "the stream was never on a link that swallowed")
}

// TestWatchLeavesFrozenMember freezes each member of a cluster in turn. The
// watch must show a later change within five seconds, an election of the
// cluster's leader included; without probes it does not.
func TestWatchLeavesFrozenMember(t *testing.T) {
	t.Parallel()
	const bound = 5 * time.Second
	cluster := servers.StartEtcdWith(t, 3, calm)
	probed, _, traffic := open(t, cluster.Endpoints(), &etcd.Options{ProbeEvery: 600 * time.Millisecond})
	blind, _, _ := open(t, cluster.Endpoints(), &etcd.Options{ProbeEvery: time.Hour})
	ctx, stop := context.WithCancel(t.Context())
	watches := []<-chan seen{follow(ctx, probed, "k"), follow(ctx, blind, "k")}
	defer func() { stop(); drain(watches[0]); drain(watches[1]) }()
	direct := cluster.Client(t)

	missed := 0
	for i, m := range cluster.Members() {
		put(t, direct, "k", fmt.Sprint("before ", i))
		for _, ch := range watches {
			until(t, ch, 10*time.Second, "k", fmt.Sprint("before ", i))
		}
		m.Stop()
		value := fmt.Sprint("during ", i)
		putAround(t, direct, "k", value)
		written := time.Now()
		s := until(t, watches[0], bound, "k", value)
		t.Logf("member %d frozen: shown %v after the write", i, s.at.Sub(written).Round(time.Millisecond))
		if !arrives(watches[1], bound-time.Since(written), "k", value) {
			missed++
		}
		m.Cont()
		require.NoError(t, cluster.Ready(within(t, 30*time.Second)))
	}
	require.Greater(t, traffic.watchStreams.Load(), int64(1), "no freeze has hit the watch")
	require.Positive(t, missed, "a watch without probes has noticed every freeze: this test proves nothing")
}

// TestManyWatches: however many watches a Store has, they share one stream and
// no connection is added; probes cost one message for all.
func TestManyWatches(t *testing.T) {
	t.Parallel()
	const n = 1000
	cluster := servers.StartEtcd(t, 1)
	direct := cluster.Client(t)
	store, _, traffic := open(t, cluster.Endpoints(), nil)
	_, err := store.Read(t.Context(), "k/0")
	require.NoError(t, err)
	conns, calls := traffic.conns.Load(), traffic.calls()

	ctx, stop := context.WithCancel(t.Context())
	watches := make([]<-chan seen, n)
	began := time.Now()
	for i := range watches {
		watches[i] = follow(ctx, store, fmt.Sprint("k/", i))
	}
	for i, ch := range watches {
		until(t, ch, 30*time.Second, fmt.Sprint("k/", i), "")
	}
	calls = traffic.calls() - calls
	t.Logf("%d watches opened in %v with %d calls, %d goroutines", n, time.Since(began).Round(time.Millisecond), calls, runtime.NumGoroutine())
	require.LessOrEqual(t, calls, 2*n+10, "a watch costs one message and one read")

	idle := traffic.calls()
	time.Sleep(7 * time.Second) // sleep: counts what happens in a time
	idle = traffic.calls() - idle
	t.Logf("%d messages in 7 s of silence", idle)
	require.LessOrEqual(t, idle, 3)
	require.Positive(t, idle)

	for i := range watches {
		put(t, direct, fmt.Sprint("k/", i), "x")
	}
	for i, ch := range watches {
		until(t, ch, 30*time.Second, fmt.Sprint("k/", i), "x")
	}
	require.EqualValues(t, 1, traffic.watchStreams.Load())
	require.Equal(t, conns, traffic.conns.Load())

	stop()
	for _, ch := range watches {
		drain(ch)
	}
	// The stream goes with its last watch; the next one gets a new one.
	again, stop := context.WithCancel(t.Context())
	ch := follow(again, store, "k/0")
	until(t, ch, 10*time.Second, "k/0", "x")
	require.EqualValues(t, 2, traffic.watchStreams.Load())
	stop()
	drain(ch)
}

// TestWatchLatency only logs: how long from the answer to a commit, and from
// its call, until the view is with its reader.
func TestWatchLatency(t *testing.T) {
	cluster := servers.StartEtcd(t, 1)
	store, _, _ := open(t, cluster.Endpoints(), nil)
	ctx, stop := context.WithCancel(t.Context())
	ch := follow(ctx, store, "k")
	defer func() { stop(); drain(ch) }()
	until(t, ch, 10*time.Second, "k", "")
	var commits, views []time.Duration
	cond := adapters.Absent("k")
	for i := range 500 {
		op := adapters.PutKeep("k", []byte(fmt.Sprint(i)))
		if i == 0 {
			op = adapters.Put("k", []byte("0"))
		}
		began := time.Now()
		res, err := store.Commit(t.Context(), adapters.Tx{If: []adapters.Cond{cond}, Then: []adapters.Op{op}})
		require.NoError(t, err)
		commits = append(commits, time.Since(began))
		views = append(views, until(t, ch, 10*time.Second, "k", fmt.Sprint(i)).at.Sub(began))
		cond = adapters.Unchanged("k", res.Rev)
	}
	slices.Sort(commits)
	slices.Sort(views)
	t.Logf("commit p50 %v p99 %v; commit called until view shown p50 %v p99 %v",
		commits[250], commits[495], views[250], views[495])
}

// TestWatchLeavesNothing: no goroutine is left when the readers have gone and
// the client is closed, whatever state the stream was in.
func TestWatchLeavesNothing(t *testing.T) {
	cluster := servers.StartEtcd(t, 1)
	l := proxy(t, cluster.Endpoints()[0])
	before := goleak.IgnoreCurrent()
	for _, state := range []string{"up", "swallowed", "cut"} {
		store, client, _ := open(t, []string{l.addr}, &etcd.Options{ProbeEvery: etcd.MinProbeEvery})
		for range store.Watch(t.Context(), "k") {
			break // a reader that leaves
		}
		ctx, stop := context.WithCancel(t.Context())
		var watches []<-chan seen
		for i := range 20 {
			watches = append(watches, follow(ctx, store, fmt.Sprint("k/", i)))
			until(t, watches[i], 10*time.Second, "k", "")
		}
		l.swallow(state == "swallowed")
		l.cut(state == "cut")
		if state != "up" {
			// Long enough for the prober to replace streams that cannot work.
			time.Sleep(4 * etcd.MinProbeEvery) // sleep: the fault has to last
		}
		stop()
		ended := time.Now()
		for _, ch := range watches {
			drain(ch)
		}
		require.Less(t, time.Since(ended), time.Second, "%s: watches ended late", state)
		require.NoError(t, client.Close())
		l.swallow(false)
		l.cut(true) // ends the proxy's own goroutines
		goleak.VerifyNone(t, before)
		l.cut(false)
	}
}

// drain waits for the end of a watch whose context is over.
func drain(ch <-chan seen) {
	for range ch {
	}
}

// arrives is until, for what may not come.
func arrives(ch <-chan seen, patience time.Duration, key, value string) bool {
	deadline := time.After(patience)
	for {
		select {
		case s := <-ch:
			if kv, _ := s.view.Get(key); string(kv.Value) == value {
				return true
			}
		case <-deadline:
			return false
		}
	}
}
