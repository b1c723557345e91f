// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// local is a lock within the process whose hand-over takes d.
func local(n int, d time.Duration) (cs contenders) {
	turn := make(chan struct{}, 1)
	turn <- struct{}{}
	for range n {
		cs = append(cs, contender{lock: func(ctx context.Context) (func() error, error) {
			<-turn
			time.Sleep(d)
			return func() error { turn <- struct{}{}; return nil }, nil
		}})
	}
	return cs
}

func TestRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := race(t.Context(), local(4, time.Millisecond), time.Second)
		require.NoError(t, err)
		require.InDelta(t, time.Millisecond, f.per, float64(2*time.Microsecond))
		require.InDelta(t, 1000, f.n, 1)
		require.InDelta(t, 1, f.share, 0.01)
	})
}

func TestRaceWithoutWinner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := race(t.Context(), local(2, time.Minute), time.Second)
		require.ErrorContains(t, err, "no acquisition in 1s")
	})
}

func TestRaceReportsTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	cs := contenders{
		{lock: func(context.Context) (func() error, error) { return nil, broken }},
		{lock: func(ctx context.Context) (func() error, error) { <-ctx.Done(); return nil, ctx.Err() }},
	}
	_, err := race(t.Context(), cs, time.Minute)
	require.ErrorIs(t, err, broken)
}

// A planted defect: a lock that lets two in is not fast but broken.
func TestRaceWithTwoHolders(t *testing.T) {
	var held atomic.Bool
	held.Store(true) // by the other
	free := contender{lock: func(context.Context) (func() error, error) { return func() error { return nil }, nil }}
	require.ErrorContains(t, once(t.Context(), free, &held), "two holders")
	held.Store(false)
	require.NoError(t, once(t.Context(), free, &held))
	require.False(t, held.Load())
}

func TestShares(t *testing.T) {
	f, err := shares(time.Second, []int64{10, 20}, []int64{40, 80})
	require.NoError(t, err)
	require.Equal(t, figure{per: time.Second / 90, n: 90, share: 0.5}, f)
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		f, err := latency(t.Context(), 2*time.Second, timed(func() error {
			calls++
			d := time.Millisecond
			if calls%10 == 0 {
				d = 5 * time.Millisecond
			}
			time.Sleep(d)
			return nil
		}))
		require.NoError(t, err)
		require.Equal(t, time.Millisecond, f.per)
		require.Less(t, f.n, calls, "the warm-up does not count")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = latency(ctx, time.Second, nil)
		require.ErrorIs(t, err, context.Canceled)
	})
}
