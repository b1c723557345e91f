// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package mutex_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// process is one process of a test: its own link to a shared store, in virtual time.
type process struct {
	mem    *memory.Store
	faults *adaptertest.Faults
	s      *session.Session
	m      *mutex.Mutex
}

func start(t *testing.T, mem *memory.Store) *process {
	t.Helper()
	p := &process{mem: mem, faults: adaptertest.Wrap(mem)}
	var err error
	p.s, err = session.Open(t.Context(), p.faults, &session.Options{Clock: session.MonotonicClock()})
	require.NoError(t, err)
	p.m, err = mutex.New(p.s, "jobs/7", nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		p.faults.Heal()
		_ = p.s.Close()
		<-p.s.Done()
	})
	return p
}

func (p *process) lock(t *testing.T) *mutex.Hold {
	t.Helper()
	h, err := p.m.Lock(t.Context())
	require.NoError(t, err)
	return h
}

type result struct {
	hold *mutex.Hold
	err  error
	took time.Duration
}

// queue calls Lock and returns once the process stands in the queue.
func (p *process) queue(ctx context.Context) <-chan result {
	c := make(chan result, 1)
	start := time.Now()
	go func() {
		h, err := p.m.Lock(ctx)
		c <- result{h, err, time.Since(start)}
	}()
	synctest.Wait()
	return c
}

func slots(t *testing.T, mem *memory.Store) []adapters.KV {
	t.Helper()
	view, err := mem.Read(context.Background(), "quorate/mutex/")
	require.NoError(t, err)
	return view.KVs
}

func TestOneHolderInOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b, c := start(t, mem), start(t, mem), start(t, mem)
		hold := a.lock(t)
		_, err := b.m.TryLock(t.Context())
		require.ErrorIs(t, err, mutex.ErrLocked)
		require.Len(t, slots(t, mem), 1, "a failed TryLock writes nothing")
		second, third := b.queue(t.Context()), c.queue(t.Context())
		time.Sleep(time.Hour)
		require.NoError(t, hold.Check())
		require.Empty(t, second)
		require.NoError(t, hold.Unlock())
		require.NoError(t, hold.Unlock())
		require.ErrorIs(t, context.Cause(hold.Context()), mutex.ErrReleased)
		require.ErrorIs(t, hold.Check(), mutex.ErrReleased)
		r := <-second
		require.NoError(t, r.err)
		require.Greater(t, r.hold.Token(), hold.Token())
		require.Empty(t, third)
		require.NoError(t, r.hold.Unlock())
		last := <-third
		require.NoError(t, last.err)
		require.Greater(t, last.hold.Token(), r.hold.Token())
		require.NoError(t, last.hold.Unlock())
		require.Empty(t, slots(t, mem))
	})
}

func TestTwoHandlesOnOneSessionExclude(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, memory.New(nil))
		hold := p.lock(t)
		waiting := p.queue(t.Context())
		time.Sleep(time.Minute)
		require.Empty(t, waiting)
		require.NoError(t, hold.Unlock())
		r := <-waiting
		require.NoError(t, r.err)
		require.NoError(t, r.hold.Unlock())
	})
}

// A waiter in the middle that goes, in whatever way, does not let in those behind it.
func TestMiddleWaiterGoes(t *testing.T) {
	for name, leave := range map[string]func(p *process, cancel func()){
		"gives up":        func(_ *process, cancel func()) { cancel() },
		"closes":          func(p *process, _ func()) { _ = p.s.Close() },
		"dies":            func(p *process, _ func()) { p.faults.Partition(true, true) },
		"loses its lease": func(p *process, _ func()) { p.mem.Expire(p.mem.Leases()[1]) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := memory.New(nil)
				a, b, c := start(t, mem), start(t, mem), start(t, mem)
				hold := a.lock(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				middle, last := b.queue(ctx), c.queue(t.Context())
				leave(b, cancel)
				require.Error(t, (<-middle).err)
				time.Sleep(time.Minute)
				require.Empty(t, last, "let in while the lock was held")
				require.Len(t, slots(t, mem), 2)
				require.NoError(t, hold.Unlock())
				r := <-last
				require.NoError(t, r.err)
				require.NoError(t, r.hold.Unlock())
			})
		})
	}
}

func TestGivingUpLeavesNoKey(t *testing.T) {
	for name, fault := range map[string]func(*adaptertest.Faults){
		"while queued":        func(*adaptertest.Faults) {},
		"behind a black hole": func(f *adaptertest.Faults) { f.Partition(true, true) },
		"answers cut":         func(f *adaptertest.Faults) { f.Partition(false, true) },
		"requests cut":        func(f *adaptertest.Faults) { f.Partition(true, false) },
		"answer lost":         func(f *adaptertest.Faults) { f.Inject(nil, adaptertest.Fault{Lose: true, Times: 1}) },
		"applied late": func(f *adaptertest.Faults) {
			f.Inject(nil, adaptertest.Fault{Before: 1500 * time.Millisecond, Late: true, Times: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := memory.New(nil)
				a, b := start(t, mem), start(t, mem)
				hold := a.lock(t)
				fault(b.faults)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				r := <-b.queue(ctx)
				require.ErrorIs(t, r.err, context.DeadlineExceeded)
				require.LessOrEqual(t, r.took, 2*time.Second)
				b.faults.Heal()
				time.Sleep(3 * time.Second)
				require.NoError(t, b.s.Check(), "the session is alive, so its lease removes nothing")
				require.Len(t, slots(t, mem), 1)
				require.NoError(t, hold.Unlock())
				h, err := b.m.TryLock(t.Context())
				require.NoError(t, err)
				require.NoError(t, h.Unlock())
			})
		})
	}
}

func TestWaiterIsToldThatItsSessionIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b := start(t, mem), start(t, mem)
		hold := a.lock(t)
		waiting := b.queue(t.Context())
		b.faults.Partition(true, true)
		inc, err := b.s.Current(t.Context())
		require.NoError(t, err)
		<-inc.Context().Done()
		lost := time.Now()
		r := <-waiting
		require.ErrorIs(t, r.err, session.ErrLost)
		require.LessOrEqual(t, time.Since(lost), time.Second)
		time.Sleep(time.Minute)
		require.Len(t, slots(t, mem), 1)
		require.NoError(t, hold.Unlock())
	})
}

// A backend that fails at the very moment of the hand-over delays it only.
func TestBackendFailsAtTheFrontOfTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b := start(t, mem), start(t, mem)
		hold := a.lock(t)
		waiting := b.queue(t.Context())
		mend := b.faults.Inject(func(c adaptertest.Call) bool { return c.Method == "Commit" },
			adaptertest.Fault{Err: errors.New("no leader")})
		require.NoError(t, hold.Unlock())
		time.Sleep(3 * time.Second)
		require.Empty(t, waiting)
		mend()
		r := <-waiting
		require.NoError(t, r.err)
		require.NoError(t, r.hold.Unlock())
	})
}

func TestOwnSlotDeletedWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b, c := start(t, mem), start(t, mem), start(t, mem)
		hold := a.lock(t)
		robbed, other := b.queue(t.Context()), c.queue(t.Context())
		_, err := mem.Commit(t.Context(), adapters.Tx{Then: []adapters.Op{adapters.Delete(slots(t, mem)[indexOf(t, mem, b)].Key)}})
		require.NoError(t, err)
		require.NoError(t, hold.Unlock())
		second := <-other
		require.NoError(t, second.err)
		time.Sleep(time.Minute)
		require.Empty(t, robbed)
		require.NoError(t, second.hold.Unlock())
		third := <-robbed
		require.NoError(t, third.err, "it queued again")
		require.NoError(t, third.hold.Unlock())
	})
}

// indexOf finds the slot of p.
func indexOf(t *testing.T, mem *memory.Store, p *process) int {
	t.Helper()
	inc, err := p.s.Current(t.Context())
	require.NoError(t, err)
	for i, kv := range slots(t, mem) {
		if kv.Lease == inc.Lease() {
			return i
		}
	}
	t.Fatal("no slot")
	return -1
}

func TestLostHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b := start(t, mem), start(t, mem)
		hold := a.lock(t)
		waiting := b.queue(t.Context())
		a.faults.Partition(true, true)
		<-hold.Context().Done()
		require.ErrorIs(t, context.Cause(hold.Context()), session.ErrLost)
		require.Empty(t, waiting, "told before anybody else could be")
		r := <-waiting
		require.NoError(t, r.err)
		require.ErrorIs(t, hold.Check(), session.ErrLost)
		require.ErrorIs(t, hold.Unlock(), session.ErrLost)
		require.NoError(t, r.hold.Unlock())
	})
}

func TestUnlockOfASlotThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, memory.New(nil))
		hold := p.lock(t)
		p.mem.Expire(p.mem.Leases()[0])
		require.ErrorIs(t, hold.Unlock(), session.ErrLost)
	})
}

func TestUnlockWhileTheBackendIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b := start(t, mem), start(t, mem)
		hold := a.lock(t)
		waiting := b.queue(t.Context())
		a.faults.Partition(true, true)
		start := time.Now()
		require.ErrorIs(t, hold.Unlock(), adapters.ErrUnknown)
		require.LessOrEqual(t, time.Since(start), time.Second)
		require.ErrorIs(t, hold.Unlock(), adapters.ErrUnknown, "the same again")
		a.faults.Heal()
		r := <-waiting
		require.NoError(t, r.err, "released in the background")
		require.LessOrEqual(t, r.took, 5*time.Second)
		require.NoError(t, a.s.Check())
		require.NoError(t, r.hold.Unlock())
	})
}

func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b := start(t, mem), start(t, mem)
		broken := errors.New("broken")
		err := a.m.Do(t.Context(), func(context.Context, *mutex.Hold) error { return broken })
		require.ErrorIs(t, err, broken)
		require.PanicsWithValue(t, "oops", func() {
			_ = a.m.Do(t.Context(), func(context.Context, *mutex.Hold) error { panic("oops") })
		})
		require.Empty(t, slots(t, mem))

		// Ends with its context, and only after the function has returned.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = a.m.Do(ctx, func(ctx context.Context, h *mutex.Hold) error {
			<-ctx.Done()
			time.Sleep(time.Minute)
			require.NoError(t, h.Check())
			_, err := b.m.TryLock(t.Context())
			require.ErrorIs(t, err, mutex.ErrLocked)
			return context.Cause(ctx)
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		hold := b.lock(t)
		require.NoError(t, hold.Unlock())
	})
}

func TestDoRunsAgainAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, memory.New(nil))
		var tokens []uint64
		err := p.m.Do(t.Context(), func(ctx context.Context, h *mutex.Hold) error {
			tokens = append(tokens, h.Token())
			if len(tokens) == 1 {
				p.faults.Partition(true, true)
				<-ctx.Done()
				p.faults.Heal()
				return context.Cause(ctx)
			}
			return nil
		})
		require.NoError(t, err)
		require.Len(t, tokens, 2)
		require.Greater(t, tokens[1], tokens[0])

		err = p.m.Do(t.Context(), func(ctx context.Context, _ *mutex.Hold) error {
			p.faults.Partition(true, true)
			<-ctx.Done()
			p.faults.Heal()
			return nil // as if all was well
		})
		require.ErrorIs(t, err, session.ErrLost)
	})
}

func TestCloseEndsHoldsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b := start(t, mem), start(t, mem)
		hold := a.lock(t)
		waiting := b.queue(t.Context())
		require.NoError(t, b.s.Close())
		require.ErrorIs(t, (<-waiting).err, session.ErrClosed)
		go func() {
			<-hold.Context().Done()
			if hold.Check() != nil {
				t.Error("the place was given up under the work")
			}
			_ = hold.Unlock()
		}()
		require.NoError(t, a.s.Close())
		require.ErrorIs(t, context.Cause(hold.Context()), session.ErrClosed)
		_, err := a.m.Lock(t.Context())
		require.ErrorIs(t, err, session.ErrClosed)
		require.Empty(t, slots(t, mem))
	})
}

func TestAHoldCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, memory.New(nil))
		calls := 0
		hold := p.lock(t)
		p.faults.Inject(func(adaptertest.Call) bool { calls++; return false }, adaptertest.Fault{})
		time.Sleep(time.Hour)
		synctest.Wait()
		require.InDelta(t, 1080, calls, 2, "renewals only")
		require.NoError(t, hold.Unlock())
	})
}
