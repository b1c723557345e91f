// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is a clock that counts suspended time, as the default clock does, but
// in virtual time.
type machine struct {
	start time.Time
	slept atomic.Int64
}

func newMachine() *machine { return &machine{start: time.Now()} }

func (m *machine) Now() time.Duration {
	return time.Since(m.start) + time.Duration(m.slept.Load())
}

// suspend lets d pass for the store and the clock, but not for timers.
func (m *machine) suspend(store *memory.Store, d time.Duration) {
	m.slept.Add(int64(d))
	store.Skip(d)
}

// bench is a session on a store with faults in between, in virtual time.
type bench struct {
	mem     *memory.Store
	faults  *adaptertest.Faults
	machine *machine
}

func newBench() *bench {
	mem := memory.New(nil)
	return &bench{mem, adaptertest.Wrap(mem), newMachine()}
}

func (b *bench) open(t *testing.T, opts session.Options) *session.Session {
	t.Helper()
	opts.Clock = b.machine
	s, err := session.Open(t.Context(), b.faults, &opts)
	require.NoError(t, err)
	t.Cleanup(func() { // so that a failed test says only why it failed
		b.faults.Heal()
		_ = s.Close()
		<-s.Done()
	})
	return s
}

func (b *bench) requireEmpty(t *testing.T) {
	t.Helper()
	view, err := b.mem.Read(context.Background(), "quorate/")
	require.NoError(t, err)
	require.Empty(t, view.KVs)
	require.Empty(t, b.mem.Leases())
}

func current(t *testing.T, s *session.Session) *session.Incarnation {
	t.Helper()
	inc, err := s.Current(t.Context())
	require.NoError(t, err)
	return inc
}

func TestKeepsItsLeaseForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		var renewals atomic.Int64
		b.faults.Inject(func(c adaptertest.Call) bool {
			if c.Method == "Renew" {
				renewals.Add(1)
			}
			return false
		}, adaptertest.Fault{})
		s := b.open(t, session.Options{})
		inc := current(t, s)
		time.Sleep(time.Hour)
		require.NoError(t, s.Check())
		require.Same(t, inc, current(t, s))
		require.Equal(t, session.Active, s.State())
		require.InDelta(t, 3600/(10.0/3), renewals.Load(), 2, "one renewal per third of the TTL")
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		require.Equal(t, session.Closed, s.State())
		require.ErrorIs(t, s.Check(), session.ErrClosed)
		require.ErrorIs(t, context.Cause(inc.Context()), session.ErrClosed)
		b.requireEmpty(t)
	})
}

// A cut link ends trust at the send time of the last acknowledged renewal plus
// the TTL, less the margin: before the store lets go, whatever the replies did.
func TestTrustEndsBeforeTheLease(t *testing.T) {
	for _, answers := range []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond} {
		t.Run("answers take "+answers.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				b.faults.Inject(func(adaptertest.Call) bool { return true }, adaptertest.Fault{After: answers})
				s := b.open(t, session.Options{})
				inc := current(t, s)
				time.Sleep(20*time.Second + 100*time.Millisecond)
				b.faults.Partition(true, true)
				<-inc.Context().Done()
				require.ErrorIs(t, context.Cause(inc.Context()), session.ErrLost)
				require.ErrorIs(t, inc.Check(), session.ErrLost)
				require.NotEmpty(t, b.mem.Leases(), "the store still has the lease")
				require.Equal(t, session.Lost, s.State())
				b.faults.Heal()
				next := current(t, s)
				require.NotEqual(t, inc.ID(), next.ID())
				require.NoError(t, next.Check())
				require.ErrorIs(t, inc.Check(), session.ErrLost, "lost stays lost")
				require.NoError(t, s.Close())
				time.Sleep(20 * time.Second)
				b.requireEmpty(t)
			})
		})
	}
}

func TestJeopardyPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		var states []session.State
		s := b.open(t, session.Options{Observer: &session.Observer{
			State: func(c session.StateChange) { states = append(states, c.To) },
		}})
		inc := current(t, s)
		b.faults.Partition(true, true)
		time.Sleep(6 * time.Second)
		require.Equal(t, session.Jeopardy, s.State())
		require.NoError(t, s.Check())
		b.faults.Heal()
		time.Sleep(2 * time.Second)
		require.Equal(t, session.Active, s.State())
		require.Same(t, inc, current(t, s))
		require.NoError(t, s.Close())
		require.Equal(t, []session.State{session.Active, session.Jeopardy, session.Active, session.Closed}, states)
	})
}

func TestLetGoEndsAtHalfTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{Policy: session.LetGo})
		inc := current(t, s)
		b.faults.Partition(true, true)
		start := time.Now()
		<-inc.Context().Done()
		require.InDelta(t, 5, time.Since(start).Seconds(), 0.1)
		require.ErrorIs(t, inc.Check(), session.ErrLost)
		b.faults.Heal()
		require.NoError(t, s.Close())
		time.Sleep(20 * time.Second)
		b.requireEmpty(t)
	})
}

// A suspended machine's timers are late; Check is not.
func TestCheckIsRightAtOnceAfterSuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{})
		inc := current(t, s)
		time.Sleep(time.Second)
		synctest.Wait()                // the session looks at its window just now
		b.faults.Partition(true, true) // else the inbox tells, which is another test
		b.machine.suspend(b.mem, 11*time.Second)
		require.NoError(t, inc.Context().Err(), "no timer has fired")
		require.ErrorIs(t, inc.Check(), session.ErrLost)
		require.ErrorIs(t, s.Check(), session.ErrLost)
		start := time.Now()
		<-inc.Context().Done()
		require.LessOrEqual(t, time.Since(start), 500*time.Millisecond)
		b.faults.Heal()
		require.NoError(t, current(t, s).Check())
		require.NoError(t, s.Close())
		b.requireEmpty(t)
	})
}

func TestLeaseEndedByTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{})
		inc := current(t, s)
		b.mem.Expire(inc.Lease())
		start := time.Now()
		<-inc.Context().Done()
		require.Zero(t, time.Since(start), "told by its inbox, which went with the lease, not by the next renewal")
		require.ErrorIs(t, context.Cause(inc.Context()), session.ErrLost)
		require.ErrorIs(t, context.Cause(inc.Context()), adapters.ErrLeaseLost)
		require.NotEqual(t, inc.ID(), current(t, s).ID())
		require.NoError(t, s.Close())
		b.requireEmpty(t)
	})
}

func TestOpenWhileTheBackendIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.faults.Partition(true, true)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		_, err := session.Open(ctx, b.faults, &session.Options{Clock: b.machine})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.InDelta(t, 30, time.Since(start).Seconds(), 1)

		down := errors.New("connection refused")
		b.faults.Heal()
		remove := b.faults.Inject(func(adaptertest.Call) bool { return true }, adaptertest.Fault{Err: down})
		ctx, cancel = context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err = session.Open(ctx, b.faults, &session.Options{Clock: b.machine})
		require.ErrorIs(t, err, down, "the last cause")
		require.ErrorIs(t, err, context.DeadlineExceeded)

		time.AfterFunc(time.Minute, remove)
		start = time.Now()
		s := b.open(t, session.Options{})
		require.InDelta(t, 60, time.Since(start).Seconds(), 3)
		require.NoError(t, s.Close())
	})
}

func TestUnhealthyProgramLetsGo(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			var sick atomic.Bool
			s := b.open(t, session.Options{Health: func(ctx context.Context) error {
				switch {
				case !sick.Load():
					return nil
				case hangs:
					<-ctx.Done()
				}
				return errors.New("queue is stuck")
			}})
			inc := current(t, s)
			time.Sleep(time.Minute)
			require.NoError(t, inc.Check())
			sick.Store(true)
			time.Sleep(20 * time.Second)
			require.ErrorIs(t, inc.Check(), session.ErrLost)
			require.Equal(t, session.Lost, s.State(), "not opened again while unhealthy")
			sick.Store(false)
			require.NoError(t, current(t, s).Check())
			require.NoError(t, s.Close())
			b.requireEmpty(t)
		})
	}
}

func TestOptionsNameFieldAndLimit(t *testing.T) {
	limits := memory.DefaultLimits()
	limits.MinTTL, limits.MaxTTL = time.Second, time.Hour
	store := memory.New(&memory.Options{Limits: &limits})
	for want, opts := range map[string]session.Options{
		"Options.Prefix": {Prefix: "a//b"},
		"Options.TTL is 500ms, the backend's minimum is 1s":  {TTL: 500 * time.Millisecond},
		"Options.TTL is 2h0m0s, the backend's maximum is 1h": {TTL: 2 * time.Hour},
		"Options.Margin is 5s, must be positive and less":    {Margin: 5 * time.Second},
		"Options.Margin is -1ns":                             {Margin: -1},
		"Options.Policy is 9":                                {Policy: 9},
		"Options.CloseTimeout is -1s, must not be negative":  {CloseTimeout: -time.Second},
		"Options.Owner has 256 bytes, limit 255":             {Owner: string(make([]byte, 256))},
	} {
		_, err := session.Open(t.Context(), store, &opts)
		require.ErrorContains(t, err, want)
	}
	_, err := session.Open(t.Context(), nil, nil)
	require.ErrorContains(t, err, "store is nil")
}

// An adopted lease may outlive our trust in it. What we put on it goes as soon
// as the store can be reached again, but not under work that has not returned.
func TestLostAdoptedLeaseIsCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		lease, err := b.mem.Grant(t.Context(), 5*time.Second)
		require.NoError(t, err)
		owner, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { // the lease's owner
			for owner.Err() == nil {
				_, _ = b.mem.Renew(owner, lease.ID)
				time.Sleep(time.Second)
			}
		}()
		s := b.open(t, session.Options{Lease: lease.ID})
		inc := current(t, s)
		work, err := inc.Begin("mutex", "x")
		require.NoError(t, err)
		_, err = inc.Commit(t.Context(), create(inc, inc.NewKey("quorate/x/")))
		require.NoError(t, err)
		b.faults.Partition(true, true)
		<-s.Done()
		require.ErrorIs(t, s.Err(), session.ErrClosed)
		b.faults.Heal()
		time.Sleep(time.Minute)
		view, err := b.mem.Read(t.Context(), "quorate/")
		require.NoError(t, err)
		require.Len(t, view.KVs, 3)
		work.Done()
		require.NoError(t, s.Close())
		view, err = b.mem.Read(t.Context(), "quorate/")
		require.NoError(t, err)
		require.Empty(t, view.KVs)
		require.NoError(t, b.mem.Revoke(t.Context(), lease.ID))
		stop()
		time.Sleep(2 * time.Second) // for the owner to see it
	})
}

func TestAdoptedLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		lease, err := b.mem.Grant(t.Context(), 5*time.Second)
		require.NoError(t, err)
		s := b.open(t, session.Options{Lease: lease.ID})
		require.Equal(t, lease.ID, current(t, s).Lease())
		time.Sleep(time.Minute)
		require.NoError(t, s.Check(), "renewed by the session")
		require.NoError(t, s.Close())
		require.Equal(t, []adapters.LeaseID{lease.ID}, b.mem.Leases(), "not ours to revoke")
		view, err := b.mem.Read(t.Context(), "quorate/")
		require.NoError(t, err)
		require.Empty(t, view.KVs, "but our keys are gone")

		s = b.open(t, session.Options{Lease: lease.ID})
		require.NoError(t, b.mem.Revoke(t.Context(), lease.ID))
		<-s.Done()
		require.ErrorIs(t, s.Err(), session.ErrClosed)
		require.ErrorIs(t, s.Err(), adapters.ErrLeaseLost)
		_, err = s.Current(t.Context())
		require.ErrorIs(t, err, session.ErrClosed)
		require.NoError(t, s.Close())

		_, err = session.Open(t.Context(), b.faults, &session.Options{Lease: lease.ID, Clock: b.machine})
		require.ErrorIs(t, err, adapters.ErrLeaseLost)
	})
}
