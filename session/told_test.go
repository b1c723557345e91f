// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/session"
)

// Close waits for Options.CloseTimeout at most, also when an observer's function
// does not return: here because it is that function which calls Close.
func TestCloseFromAnObserverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		var s *session.Session
		lost, closed := make(chan struct{}), make(chan error, 1)
		s = b.open(t, session.Options{Observer: &session.Observer{State: func(c session.StateChange) {
			if c.To == session.Lost {
				close(lost)
				closed <- s.Close() // "if the session is lost, give up"
			}
		}}})
		b.mem.Expire(current(t, s).Lease())
		<-lost
		select {
		case <-closed:
		case <-time.After(time.Hour):
			t.Error("Close has not returned within an hour, CloseTimeout is 10 s")
			t.FailNow()
		}
	})
}

// The same from outside, with an observer that is stuck.
func TestCloseBesideAStuckObserverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		block := make(chan struct{})
		defer close(block)
		s, err := session.Open(t.Context(), b.faults, &session.Options{Clock: b.machine,
			Observer: &session.Observer{State: func(session.StateChange) { <-block }}})
		require.NoError(t, err)
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		select {
		case <-closed:
		case <-time.After(time.Hour):
			t.Error("Close has not returned within an hour, CloseTimeout is 10 s")
		}
	})
}

// Every place that is lost is told to Observer.Lose, also if its work returns at once.
func TestEveryLossIsTold(t *testing.T) {
	const holds, rounds = 20, 50
	var lost, released atomic.Int64
	for range rounds {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			s := b.open(t, session.Options{Observer: &session.Observer{
				Lose:    func(session.Place) { lost.Add(1) },
				Release: func(session.Place) { released.Add(1) },
			}})
			inc := current(t, s)
			for i := range holds {
				w, err := inc.Begin("mutex", "x")
				require.NoError(t, err)
				w.Acquired(uint64(i + 1))
				go func() {
					<-inc.Context().Done()
					w.Done()
				}()
			}
			synctest.Wait()
			b.faults.Inject(func(c adaptertest.Call) bool { return c.Method == "Renew" }, adaptertest.Fault{Err: errors.Join(adapters.ErrLeaseLost)})
			<-inc.Context().Done()
			require.NoError(t, s.Close())
		})
	}
	require.EqualValues(t, holds*rounds, lost.Load(), "lost places of which Observer.Lose was told (and %d of Release)", released.Load())
}
