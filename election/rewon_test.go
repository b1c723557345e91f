// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package election_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/session"
)

// A function that is deaf to the loss of its term has been told of it, and no
// second copy of it runs in the process before it has returned, although the
// place is there to be taken.
func TestOneCopyOfTheFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		failFast(mem)
		a := start(t, mem, "a")
		finished := errors.New("finished")
		running, terms := 0, 0
		err := a.e.Lead(t.Context(), func(ctx context.Context, term *election.Term) error {
			running++
			defer func() { running-- }()
			if running != 1 {
				t.Error("a second copy runs beside the first")
			}
			if terms++; terms == 3 {
				return finished
			}
			old, err := a.s.Current(t.Context())
			if err != nil {
				return err
			}
			mem.Expire(old.Lease())
			synctest.Wait()
			if ctx.Err() == nil || !errors.Is(context.Cause(ctx), session.ErrLost) {
				t.Error("the function was not told of the loss:", context.Cause(ctx))
			}
			time.Sleep(10 * time.Minute) // deaf
			if again, err := a.s.Current(t.Context()); err != nil || again == old {
				t.Error("the session has not come back:", err)
			}
			if _, err := a.e.Leader(t.Context()); !errors.Is(err, election.ErrNoLeader) {
				t.Error("somebody leads, although the only candidate is busy:", err)
			}
			return context.Cause(ctx)
		})
		require.ErrorIs(t, err, finished)
		require.Equal(t, 3, terms)
	})
}

// A deletion of the last term's slot that is applied late ends no later term,
// and a new term of a candidate that was just told to go is a term.
func TestNewTermIsNotEndedByTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		failFast(mem)
		a := start(t, mem, "a")
		var last uint64
		for i := range 20 {
			term, err := a.e.Campaign(t.Context())
			require.NoError(t, err)
			require.Greater(t, term.Token(), last)
			last = term.Token()
			time.Sleep(5 * time.Second) // what was under way has landed
			require.NoError(t, term.Check())
			require.NoError(t, term.Context().Err(), "told that it leads, and then that it does not")
			leader, err := a.e.Leader(t.Context())
			require.NoError(t, err)
			require.Equal(t, last, leader.Token)
			if i%2 == 0 {
				a.faults.Inject(func(c adaptertest.Call) bool {
					return c.Method == "Commit" && len(c.Tx.Then) > 0 && c.Tx.Then[0].Kind == adapters.OpDelete
				}, adaptertest.Fault{Before: 3 * time.Second, Late: true, Times: 1})
				require.ErrorIs(t, term.Resign(), adapters.ErrUnknown)
			} else {
				require.NoError(t, term.Resign())
			}
		}
	})
}

// What a leader said of itself in one term is not said of it in the next: each
// begins with Options.Value, under a new key with a name as long as the first.
func TestSlotIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		failFast(mem)
		a := start(t, mem, "first value")
		finished := errors.New("finished")
		seen, length := map[string]bool{}, 0
		err := a.e.Lead(t.Context(), func(ctx context.Context, term *election.Term) error {
			leader, err := a.e.Leader(ctx)
			if err != nil {
				return err
			}
			require.Equal(t, "first value", leader.Value)
			view, err := mem.Read(ctx, "quorate/election/")
			if err != nil {
				return err
			}
			require.Len(t, view.KVs, 1)
			key := view.KVs[0].Key
			require.False(t, seen[key], "a name is used once")
			seen[key] = true
			if length == 0 {
				length = len(key)
			}
			require.Len(t, key, length, "the name grows")
			if len(seen) == 20 {
				return finished
			}
			if err := term.Proclaim(ctx, "second value"); err != nil {
				return err
			}
			inc, err := a.s.Current(ctx)
			if err != nil {
				return err
			}
			mem.Expire(inc.Lease())
			<-ctx.Done()
			return context.Cause(ctx)
		})
		require.ErrorIs(t, err, finished)
	})
}

// An observer that was cut off while a leader went and came back, with the same
// value, is told of another term.
func TestObserverSeesThatTheLeaderIsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		failFast(mem)
		a, b := start(t, mem, "same"), start(t, mem, "")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		leaders := make(chan election.Leader, 10)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for l, err := range b.e.Observe(ctx) {
				if err == nil {
					leaders <- l
				}
			}
		}()
		require.True(t, (<-leaders).Nobody())
		first, err := a.e.Campaign(t.Context())
		require.NoError(t, err)
		require.Equal(t, first.Token(), (<-leaders).Token)
		b.faults.Partition(true, true)
		require.NoError(t, first.Resign())
		second, err := a.e.Campaign(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		require.Empty(t, leaders)
		b.faults.Heal()
		time.Sleep(time.Second)
		require.Len(t, leaders, 1, "it was not told")
		latest := <-leaders
		require.Equal(t, "same", latest.Value)
		require.Equal(t, second.Token(), latest.Token)
		require.Greater(t, second.Token(), first.Token())
		cancel()
		<-done
		require.NoError(t, second.Resign())
	})
}
