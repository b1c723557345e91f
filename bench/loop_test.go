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
	var queue atomic.Int64
	for range n {
		cs = append(cs, contender{
			lock: func(ctx context.Context) (func() error, error) {
				queue.Add(1)
				select {
				case <-turn:
				case <-ctx.Done():
					queue.Add(-1)
					return nil, ctx.Err()
				}
				time.Sleep(d)
				return func() error { queue.Add(-1); turn <- struct{}{}; return nil }, nil
			},
			queued: func(context.Context) (int, error) { return int(queue.Load()), nil },
		})
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
		require.InDelta(t, 1000, f.turns, 1)
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
	var r referee
	r.held.Store(true) // by the other
	free := contender{lock: func(context.Context) (func() error, error) { return func() error { return nil }, nil }}
	require.ErrorContains(t, r.once(t.Context(), 0, free), "two holders")
	r.held.Store(false)
	for _, i := range []int{0, 0, 1, 1, 1, 0} {
		require.NoError(t, r.once(t.Context(), i, free))
	}
	require.False(t, r.held.Load())
	require.EqualValues(t, 3, r.turns.Load())
}

// A peer that lets somebody wait for long does not make the measurement long.
func TestRaceEndsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		cs := append(local(1, time.Millisecond), contender{lock: func(ctx context.Context) (func() error, error) {
			<-ctx.Done() // as api.Lock, which sleeps for seconds when it has lost a race
			return nil, ctx.Err()
		}})
		f, err := race(t.Context(), cs, time.Second)
		require.NoError(t, err)
		require.Zero(t, f.share)
		require.Zero(t, f.turns, "nobody else ever had it")
		require.Less(t, time.Since(begin), 1200*time.Millisecond)
	})
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
		f, err = latency(t.Context(), 2*time.Second, func() (time.Duration, error) { time.Sleep(3 * time.Second); return time.Second, nil })
		require.NoError(t, err)
		require.Equal(t, figure{per: time.Second, n: 1}, f)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = latency(ctx, time.Second, nil)
		require.ErrorIs(t, err, context.Canceled)
	})
}
