// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/session"
)

// creates matches a Commit that creates a key below dir.
func creates(dir string) func(adaptertest.Call) bool {
	return func(c adaptertest.Call) bool {
		return c.Method == "Commit" && len(c.Tx.Then) > 0 &&
			c.Tx.Then[0].Kind == adapters.OpPutLeased && strings.HasPrefix(c.Tx.Then[0].Key, dir)
	}
}

func create(inc *session.Incarnation, key string) adapters.Tx {
	return adapters.Tx{
		If:    []adapters.Cond{adapters.Absent(key)},
		Then:  []adapters.Op{adapters.PutLeased(key, []byte("v"), inc.Lease())},
		Reads: []string{key},
	}
}

func TestLostAnswerIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{})
		inc := current(t, s)
		b.faults.Inject(creates("quorate/x/"), adaptertest.Fault{Lose: true, Times: 1})
		res, err := inc.Commit(t.Context(), create(inc, "quorate/x/1"))
		require.NoError(t, err, "applied, and found")
		require.Len(t, res.Views, 1)
		kv, there := res.Views[0].Get("quorate/x/1")
		require.True(t, there)
		require.Equal(t, kv.Mod, res.Rev)

		// The fence has moved, and later commits know it.
		_, err = inc.Commit(t.Context(), create(inc, "quorate/x/2"))
		require.NoError(t, err)
		_, err = inc.Commit(t.Context(), create(inc, "quorate/x/2"))
		require.ErrorIs(t, err, adapters.ErrConflict)
		require.NoError(t, s.Close())
		b.requireEmpty(t)
	})
}

// A write that arrives after the caller gave up and was told that nothing is
// there must not be applied any more.
func TestLateWriteLeavesNoOrphan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{})
		inc := current(t, s)
		b.faults.Inject(creates("quorate/x/"), adaptertest.Fault{Before: 300 * time.Millisecond, Late: true})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := inc.Commit(ctx, create(inc, "quorate/x/1"))
		require.ErrorIs(t, err, adapters.ErrUnknown)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, inc.Remove("quorate/x/1", true, nil))
		b.faults.Wait()
		view, err := b.mem.Read(t.Context(), "quorate/x/")
		require.NoError(t, err)
		require.Empty(t, view.KVs, "orphan")
		require.NoError(t, s.Close())
		b.requireEmpty(t)
	})
}

// A client takes turns with the servers, and one of them hangs: a write, and what
// settles it, may not keep in step with that for ever.
func TestOneOfTwoServersHangs(t *testing.T) {
	for name, hangs := range map[string]adaptertest.Fault{
		"requests are lost": {Before: time.Hour},
		"answers are lost":  {After: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			for first := range 2 {
				synctest.Test(t, func(t *testing.T) {
					b := newBench()
					inc := current(t, b.open(t, session.Options{}))
					turn := first
					b.faults.Inject(func(adaptertest.Call) bool { turn++; return turn%2 == 0 }, hangs)
					for i := range 10 {
						ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
						_, err := inc.Commit(ctx, create(inc, fmt.Sprint("quorate/x/", i)))
						cancel()
						require.NoError(t, err)
					}
				})
			}
		})
	}
}

// A program that says it is unhealthy has no renewals, not for this reason either.
func TestUnhealthyIsNotRenewedToPassAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		var sick atomic.Bool
		var renewals atomic.Int64
		inc := current(t, b.open(t, session.Options{TTL: 9 * time.Second, Health: func(context.Context) error {
			if sick.Load() {
				return errors.New("stuck")
			}
			return nil
		}}))
		sick.Store(true)
		time.Sleep(4 * time.Second) // past the renewal that was due
		b.faults.Inject(func(c adaptertest.Call) bool {
			if c.Method == "Renew" {
				renewals.Add(1)
			}
			return false
		}, adaptertest.Fault{})
		b.faults.Inject(creates("quorate/x/"), adaptertest.Fault{Lose: true, Times: 1})
		_, err := inc.Commit(t.Context(), create(inc, "quorate/x/1"))
		require.NoError(t, err)
		require.Zero(t, renewals.Load())
	})
}

// The rewrite of the session key that settles an outcome can itself get lost.
func TestSettlementSurvivesLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{})
		inc := current(t, s)
		lose := func(c adaptertest.Call) bool { return c.Method == "Commit" }
		b.faults.Inject(lose, adaptertest.Fault{Lose: true, Times: 3})
		_, err := inc.Commit(t.Context(), create(inc, "quorate/x/1"))
		require.NoError(t, err)
		b.faults.Inject(lose, adaptertest.Fault{Lose: true, Times: 2})
		require.NoError(t, inc.Remove("quorate/x/1", false, nil))
		view, err := b.mem.Read(t.Context(), "quorate/x/")
		require.NoError(t, err)
		require.Empty(t, view.KVs)
		require.NoError(t, s.Close())
	})
}

// Commits of other goroutines that fail only because the fence moved under
// them are tried again.
func TestConflictByFenceAloneIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{})
		inc := current(t, s)
		b.faults.Inject(creates("quorate/slow/"), adaptertest.Fault{Before: time.Second, Late: true, Times: 1})
		b.faults.Inject(creates("quorate/lost/"), adaptertest.Fault{Lose: true, Times: 1})
		slow := make(chan error)
		go func() {
			_, err := inc.Commit(context.Background(), create(inc, "quorate/slow/1"))
			slow <- err
		}()
		synctest.Wait()
		_, err := inc.Commit(t.Context(), create(inc, "quorate/lost/1"))
		require.NoError(t, err)
		require.NoError(t, <-slow)
		require.NoError(t, s.Close())
		b.requireEmpty(t)
	})
}

func TestRemoveGoesOnInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{})
		inc := current(t, s)
		_, err := inc.Commit(t.Context(), create(inc, "quorate/x/1"))
		require.NoError(t, err)
		b.faults.Partition(true, true)
		start := time.Now()
		require.ErrorIs(t, inc.Remove("quorate/x/1", false, nil), adapters.ErrUnknown)
		require.Equal(t, 500*time.Millisecond, time.Since(start))
		b.faults.Heal()
		time.Sleep(3 * time.Second)
		view, err := b.mem.Read(t.Context(), "quorate/x/")
		require.NoError(t, err)
		require.Empty(t, view.KVs)
		require.NoError(t, inc.Check())
		require.NoError(t, s.Close())
	})
}

func TestSessionKeyDeletedByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{})
		inc := current(t, s)
		_, err := b.mem.Commit(t.Context(), adapters.Tx{Then: []adapters.Op{adapters.Delete("quorate/session/" + inc.ID())}})
		require.NoError(t, err)
		_, err = inc.Commit(t.Context(), create(inc, "quorate/x/1"))
		require.ErrorIs(t, err, adapters.ErrConflict)
		require.ErrorIs(t, inc.Verify(t.Context()), session.ErrLost)
		require.NotEqual(t, inc.ID(), current(t, s).ID())
		require.NoError(t, s.Close())
		b.requireEmpty(t)
	})
}
