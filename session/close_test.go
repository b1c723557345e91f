// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/session"
)

func TestCloseWaitsForWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{})
		inc := current(t, s)
		work, err := inc.Begin("mutex", "jobs/7")
		require.NoError(t, err)
		go func() {
			<-inc.Context().Done()
			time.Sleep(3 * time.Second) // winding down
			if inc.Check() != nil || len(b.mem.Leases()) != 1 {
				t.Error("lease given back before the work returned")
			}
			work.Done()
			work.Done()
		}()
		start := time.Now()
		require.NoError(t, s.Close())
		require.Equal(t, 3*time.Second, time.Since(start))
		_, err = inc.Begin("mutex", "jobs/8")
		require.ErrorIs(t, err, session.ErrClosed)
		b.requireEmpty(t)
	})
}

func TestStuckWorkKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		var stuck []session.Place
		s := b.open(t, session.Options{
			CloseTimeout: 2 * time.Second,
			Observer:     &session.Observer{Stuck: func(p session.Place) { stuck = append(stuck, p) }},
		})
		inc := current(t, s)
		work, err := inc.Begin("mutex", "jobs/7")
		require.NoError(t, err)
		err = s.Close()
		require.ErrorIs(t, err, session.ErrStuck)
		require.ErrorContains(t, err, `mutex "jobs/7"`)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.NoError(t, inc.Check(), "renewed for as long as the work runs")
		require.Len(t, b.mem.Leases(), 1)
		require.Len(t, stuck, 1)
		work.Done()
		require.NoError(t, s.Close())
		b.requireEmpty(t)
	})
}

func TestReleaseStuckIsAnOptIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{CloseTimeout: 2 * time.Second, ReleaseStuck: true})
		_, err := current(t, s).Begin("mutex", "jobs/7")
		require.NoError(t, err)
		require.ErrorIs(t, s.Close(), session.ErrStuck)
		require.NoError(t, s.Close())
		b.requireEmpty(t)
	})
}

func TestCloseWhileTheBackendIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{})
		b.faults.Partition(true, true)
		start := time.Now()
		err := s.Close()
		require.ErrorIs(t, err, adapters.ErrUnknown)
		require.Equal(t, 10*time.Second, time.Since(start))
		<-s.Done()
		require.LessOrEqual(t, time.Since(start), 12*time.Second)
		require.Error(t, s.Close(), "still not confirmed")
		require.ErrorIs(t, s.Err(), session.ErrClosed)
		b.requireEmpty(t) // it ended by itself
	})
}

func TestCloseWhileLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{})
		b.faults.Partition(true, true)
		time.Sleep(time.Minute)
		require.Equal(t, session.Lost, s.State())
		waiting := make(chan error)
		go func() {
			_, err := s.Current(context.Background())
			waiting <- err
		}()
		synctest.Wait()
		start := time.Now()
		require.NoError(t, s.Close())
		require.LessOrEqual(t, time.Since(start), time.Second)
		require.ErrorIs(t, <-waiting, session.ErrClosed)
		b.requireEmpty(t)
	})
}

// A lost lease that the backend may still have is given back, but only once
// the work that hung on it has returned.
func TestLostLeaseIsGivenBackAfterItsWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{Policy: session.LetGo})
		inc := current(t, s)
		work, err := inc.Begin("mutex", "jobs/7")
		require.NoError(t, err)
		away := b.faults.Inject(func(adaptertest.Call) bool { return true }, adaptertest.Fault{Err: errors.New("away")})
		<-inc.Context().Done()
		away()
		next := current(t, s)
		require.Len(t, b.mem.Leases(), 2)
		work.Done()
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, []adapters.LeaseID{next.Lease()}, b.mem.Leases())
		require.NoError(t, s.Close())
		b.requireEmpty(t)
	})
}
