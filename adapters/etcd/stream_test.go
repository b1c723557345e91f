// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/adapters/etcd"
	"github.com/stretchr/testify/require"
)

var quick = &etcd.Options{ProbeEvery: etcd.MinProbeEvery}

// TestProbeKeepsLiveStream: a stream that answers stays, however silent it is,
// and is asked once in ProbeEvery for all watches together.
func TestProbeKeepsLiveStream(t *testing.T) {
	f := new(fake)
	f.rev.Store(7)
	store, _ := f.serve(t, quick)
	for _, name := range []string{"a", "b", "c/"} {
		watch(t, store, name)
	}
	const rounds = 5
	time.Sleep(rounds * etcd.MinProbeEvery) // sleep: counts what happens in a time
	require.EqualValues(t, 1, f.streams.Load())
	require.LessOrEqual(t, f.asks.Load(), int64(rounds))
	require.Positive(t, f.asks.Load())
	require.EqualValues(t, 3, f.ranges.Load(), "a watch reads once")
}

// TestProbeLeavesMuteStream: one that does not answer is given up, and the
// watch reads again on a new one.
func TestProbeLeavesMuteStream(t *testing.T) {
	f := new(fake)
	f.rev.Store(7)
	f.mute.Store(true)
	store, _ := f.serve(t, quick)
	watch(t, store, "a")
	require.Eventually(t, func() bool { return f.streams.Load() >= 2 && f.ranges.Load() >= 2 }, 10*time.Second, 10*time.Millisecond)
}

// TestProbeLeavesStreamBehind: a member that answers, but from before what
// this process saw elsewhere, is left too.
func TestProbeLeavesStreamBehind(t *testing.T) {
	f := &fake{behind: 3}
	f.rev.Store(7)
	store, _ := f.serve(t, quick)
	watch(t, store, "a")
	require.Eventually(t, func() bool { return f.streams.Load() >= 2 && f.ranges.Load() >= 2 }, 10*time.Second, 10*time.Millisecond)
}

// TestProbeIgnoresBusyReaders: while no reader waits for the stream, its
// silence means nothing.
func TestProbeIgnoresBusyReaders(t *testing.T) {
	f := new(fake)
	f.rev.Store(7)
	store, _ := f.serve(t, quick)
	for range store.Watch(t.Context(), "a") {
		time.Sleep(5 * etcd.MinProbeEvery) // sleep: a reader that is busy
		break
	}
	require.EqualValues(t, 1, f.streams.Load())
	require.Zero(t, f.asks.Load())
}

// TestProbeIsPatientWithSlowServer: opening a stream may take long, for a login
// or under load. Tries must grow until one of them succeeds.
func TestProbeIsPatientWithSlowServer(t *testing.T) {
	f := &fake{slow: 4 * etcd.MinProbeEvery / 3} // four times the first patience
	f.rev.Store(7)
	store, _ := f.serve(t, quick)
	watch(t, store, "a")
	require.Greater(t, f.streams.Load(), int64(1), "the first try was given up")
	require.LessOrEqual(t, f.streams.Load(), int64(4))
}
