// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func serveResource(t *testing.T, noFence bool) (*resource, func() []write) {
	t.Helper()
	var mu sync.Mutex
	var log []write
	r, err := newResource(noFence, func(w write) {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, w)
	})
	require.NoError(t, err)
	t.Cleanup(r.close)
	return r, func() []write {
		mu.Lock()
		defer mu.Unlock()
		return log
	}
}

func connect(t *testing.T, r *resource, who string) *link {
	t.Helper()
	l, err := dial(r.addr(), who)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.conn.Close() })
	return l
}

func TestResourceRefusesSmallerTokens(t *testing.T) {
	r, log := serveResource(t, false)
	old, young := connect(t, r, "old"), connect(t, r, "young")
	require.NoError(t, old.increment(counter, 5))
	require.NoError(t, old.increment(counter, 5), "an equal token is the same holder")
	require.NoError(t, young.increment(counter, 6))
	err := old.increment(counter, 5)
	require.ErrorIs(t, err, errRefused)
	require.ErrorContains(t, err, "5 is smaller than 6")
	require.NoError(t, old.increment(schedule, 5), "each item has tokens of its own")
	require.EqualValues(t, 3, r.value(counter))

	ws := log()
	require.Len(t, ws, 5)
	require.False(t, ws[3].accepted)
	require.Equal(t, "old", ws[3].Who)
	require.EqualValues(t, 3, ws[3].before)
}

// Two that hold nothing and read the same value: what the lock is for.
func TestResourceShowsLostUpdates(t *testing.T) {
	r, log := serveResource(t, true)
	a, b := connect(t, r, "a"), connect(t, r, "b")
	for _, l := range []*link{a, b} {
		_, err := l.ask(request{Who: l.who, Item: counter})
		require.NoError(t, err)
	}
	for _, l := range []*link{b, a} {
		rep, err := l.ask(request{Who: l.who, Item: counter, Token: map[*link]uint64{a: 1, b: 2}[l], Write: true, Value: 1})
		require.NoError(t, err)
		require.False(t, rep.Refused, "without the fence")
	}
	rec := &record{writes: log(), values: map[string]uint64{counter: r.value(counter), schedule: 0}}
	require.Equal(t, 1, rec.lost(counter))
	require.Contains(t, rec.verdict(), "a late write of a to the counter was accepted")
}

func TestResourceInterferesOnce(t *testing.T) {
	r, _ := serveResource(t, false)
	l := connect(t, r, "w1")
	calls := 0
	r.arm("w1", 7, func() { calls++ })
	require.NoError(t, l.increment(counter, 7))
	require.NoError(t, l.increment(schedule, 6))
	require.NoError(t, connect(t, r, "w2").increment(schedule, 7))
	require.Zero(t, calls)
	require.NoError(t, l.increment(schedule, 7))
	require.NoError(t, l.increment(schedule, 7))
	require.Equal(t, 1, calls)
}
