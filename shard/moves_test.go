// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/shard"
)

// hung is work that returns only when release is closed.
func hung(release <-chan struct{}) func(context.Context, shard.Shard) {
	return func(context.Context, shard.Shard) { <-release }
}

func TestDrainWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		release := make(chan struct{})
		a := w.join("a", shard.Options{DrainTimeout: time.Second}, hung(release))
		w.becomes(time.Second, "a")
		b := w.join("b", shard.Options{}, nil)
		time.Sleep(time.Minute)
		require.Equal(t, map[string]int{"a": 4}, w.counts(), "a shard moved although its work had not returned")
		require.Equal(t, 2, w.stuck)
		close(release)
		w.becomes(time.Second, "a", "b")
		a.goes()
		b.goes()
	})
}

func TestDrainForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		w.quiet = true // two at work are what is asked for
		release := make(chan struct{})
		a := w.join("a", shard.Options{DrainTimeout: time.Second, Drain: shard.DrainForce}, hung(release))
		w.becomes(time.Second, "a")
		b := w.join("b", shard.Options{}, nil)
		w.becomes(1200*time.Millisecond, "a", "b")
		require.Contains(t, w.verdict, "b begins while a is at work")
		w.verdict = ""
		// It comes back only when the work of before has returned.
		b.goes()
		time.Sleep(time.Minute)
		require.Equal(t, map[string]int{"a": 2}, w.counts())
		close(release)
		w.becomes(time.Second, "a")
		require.Empty(t, w.verdict)
		a.goes()
	})
}

func TestDrainLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		w.quiet = true
		release := make(chan struct{})
		var once bool
		a := w.join("a", shard.Options{DrainTimeout: time.Second, Drain: shard.DrainLeave}, func(ctx context.Context, s shard.Shard) {
			w.mu.Lock()
			first := !once
			once = true
			w.mu.Unlock()
			if first {
				<-release
			}
		})
		w.becomes(time.Second, "a")
		b := w.join("b", shard.Options{}, nil)
		w.becomes(3*time.Second, "b")
		err := <-a.left
		require.ErrorIs(t, err, shard.ErrStuck)
		require.Contains(t, w.verdict, "b begins while a is at work")
		close(release)
		b.goes()
	})
}

// The old owner goes on until the new one has prepared, or for so long.
func TestPrepare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", shard.Options{PrepareTimeout: 10 * time.Second}, nil)
		w.becomes(time.Second, "a")
		prepared := 0
		b := w.handle("b", shard.Options{PrepareTimeout: 10 * time.Second}, func(ctx context.Context, s shard.Shard) error {
			require.Error(t, s.Check())
			time.Sleep(3 * time.Second)
			w.mu.Lock()
			defer w.mu.Unlock()
			if prepared++; prepared == 1 {
				return errors.New("again, please")
			}
			return nil
		})
		require.InDelta(t, 6.0, w.becomes(20*time.Second, "a", "b").Seconds(), 0.5)
		require.Zero(t, w.gap)
		require.Equal(t, 3, prepared, "two shards, one of them twice")
		c := w.handle("c", shard.Options{}, func(ctx context.Context, _ shard.Shard) error {
			<-ctx.Done() // never ready
			return nil
		})
		require.InDelta(t, 10.0, w.becomes(20*time.Second, "a", "b", "c").Seconds(), 0.5)
		a.goes()
		b.goes()
		c.goes()
	})
}

// The receiver dies when it has prepared, and right after it was given the shard.
func TestReceiverDies(t *testing.T) {
	for _, when := range []string{"prepared", "handed over"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 4)
				a := w.join("a", shard.Options{}, nil)
				w.becomes(time.Second, "a")
				var b *member
				b = w.handle("b", shard.Options{}, func(context.Context, shard.Shard) error {
					if when == "prepared" {
						b.faults.Partition(true, true)
					}
					return nil
				})
				if when == "handed over" {
					a.faults.Inject(transfers, adaptertest.Fault{After: time.Millisecond})
					go func() {
						for b.faults == nil || w.claimedBy("b") == 0 {
							time.Sleep(100 * time.Microsecond)
						}
						b.faults.Partition(true, true)
					}()
				}
				w.planned(a, "b")
				w.becomes(13*time.Second, "a")
				require.LessOrEqual(t, w.gap, 11500*time.Millisecond)
				b.faults.Heal()
				w.becomes(15*time.Second, "a", "b")
				a.goes()
				b.goes()
			})
		})
	}
}

// transfers are commits that hand shards over.
func transfers(c adaptertest.Call) bool {
	if c.Method != "Commit" {
		return false
	}
	for _, op := range c.Tx.Then {
		if op.Kind == adapters.OpPutKeep && strings.Contains(op.Key, "/claim/") {
			return true
		}
	}
	return false
}

// The donor dies while it drains, and after it has handed over but before it knows.
func TestDonorDies(t *testing.T) {
	for _, when := range []string{"draining", "handed over"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 4)
				var a *member
				a = w.join("a", shard.Options{}, func(ctx context.Context, s shard.Shard) {
					if when == "draining" {
						a.faults.Partition(true, true)
						for s.Check() == nil {
							time.Sleep(10 * time.Millisecond)
						}
					}
				})
				w.becomes(time.Second, "a")
				if when == "handed over" {
					a.faults.Inject(func(c adaptertest.Call) bool {
						if transfers(c) {
							go a.faults.Partition(false, true) // the wrapper is locked here
							return true
						}
						return false
					}, adaptertest.Fault{Lose: true})
				}
				b := w.join("b", shard.Options{}, nil)
				w.becomes(13*time.Second, "b")
				a.faults.Heal()
				a.work = nil
				w.becomes(15*time.Second, "a", "b")
				a.goes()
				b.goes()
			})
		})
	}
}

// A plan that is replaced while its moves are under way does no harm: shards go where
// the last one says.
func TestPlanSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 12)
		a := w.join("a", shard.Options{}, func(context.Context, shard.Shard) { time.Sleep(2 * time.Second) })
		w.becomes(time.Second, "a")
		b := w.join("b", shard.Options{}, nil)
		time.Sleep(time.Second) // the plan is made, and work is being stopped
		require.NoError(t, a.g.Pin(t.Context(), 0, "a"))
		c := w.join("c", shard.Options{}, nil)
		w.becomes(10*time.Second, "a", "b", "c")
		b.goes()
		w.becomes(10*time.Second, "a", "c")
		a.goes()
		c.goes()
	})
}
