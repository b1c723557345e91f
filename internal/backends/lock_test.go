// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

var lockScenarios = []scenario{
	{"one holder in order of arrival", oneHolderInOrder},
	{"two handles of one session exclude each other", twoHandles},
	{"200 waiters drain in order", drain},
	{"all user code is busy", userCodeBusy},
	{"do", do},
	{"do runs again after a loss", doAgain},
	{"tokens increase", tokens},
	{"unlock twice", unlockTwice},
	{"lease revoked while holding", revokedWhileHolding},
}

func oneHolderInOrder(w *bench) {
	ss := w.sessions(4)
	hold := w.lock(ss[0], "l")
	var queue []*waiter[*mutex.Hold]
	for _, s := range append(ss[1:], ss...) { // each session more than once
		before := w.slots(w.locks("l"))
		_, err := w.mutex(s, "l").TryLock(within(w.t, patience))
		require.ErrorIs(w.t, err, mutex.ErrLocked)
		require.Equal(w.t, before, w.slots(w.locks("l")), "a try that fails leaves nothing")
		queue = append(queue, w.queue(s, "l"))
	}
	for i, next := range queue {
		for _, later := range queue[i:] {
			require.True(w.t, later.waits())
		}
		require.NoError(w.t, hold.Check())
		w.gave(hold.Unlock())
		after := next.gets(w.t)
		require.NoError(w.t, after.Check())
		require.Greater(w.t, after.Token(), hold.Token())
		require.ErrorIs(w.t, hold.Check(), mutex.ErrReleased)
		hold = after
	}
	w.gave(hold.Unlock())
	w.left(w.locks("l"), 0)
	free, err := w.mutex(ss[0], "l").TryLock(within(w.t, patience))
	require.NoError(w.t, err)
	w.gave(free.Unlock())
}

func twoHandles(w *bench) {
	s := w.session(session.Options{})
	first := w.lock(s, "l")
	second := w.queue(s, "l")
	_, err := w.mutex(s, "l").TryLock(within(w.t, patience))
	require.ErrorIs(w.t, err, mutex.ErrLocked)
	require.True(w.t, second.waits())
	other := w.lock(s, "l2") // another name is another lock
	w.gave(first.Unlock())
	require.Greater(w.t, second.gets(w.t).Token(), first.Token())
	w.gave(other.Unlock())
	w.gave(second.place.Unlock())
}

func drain(w *bench) {
	const waiters = 200
	ss := w.sessions(8)
	hold := w.lock(ss[0], "l")
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex // held by whoever holds the lock: never waited for
		order  []uint64
		double int
		errs   []error
	)
	for i := range waiters {
		m := w.mutex(ss[i%len(ss)], "l")
		wg.Go(func() {
			h, err := m.Lock(within(w.t, 2*patience))
			if err == nil {
				if !mu.TryLock() {
					mu.Lock()
					double++
				}
				order = append(order, h.Token())
				mu.Unlock()
				err = h.Unlock()
			}
			if err != nil && !errors.Is(err, adapters.ErrUnknown) {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	view := w.until(w.locks("l"), "all waiters", func(v adapters.View) bool { return len(v.KVs) == waiters+1 })
	var arrived []uint64
	for _, kv := range view.KVs {
		if t := uint64(kv.Created) << 16; t != hold.Token() {
			arrived = append(arrived, t)
		}
	}
	slices.Sort(arrived)
	w.gave(hold.Unlock())
	wg.Wait()
	require.Empty(w.t, errs)
	require.Zero(w.t, double, "two held it at once")
	require.Equal(w.t, arrived, order)
}

func do(w *bench) {
	ss := w.sessions(2)
	ours, theirs := w.mutex(ss[0], "l"), w.mutex(ss[1], "l")
	own := errors.New("own")
	inside, leave := make(chan struct{}), make(chan struct{})
	first := enqueue(w, w.locks("l"), func() (struct{}, error) {
		return struct{}{}, ours.Do(context.Background(), func(ctx context.Context, h *mutex.Hold) error {
			close(inside)
			<-leave
			return errors.Join(own, h.Check(), ctx.Err())
		})
	})
	closes(w.t, inside, "do")
	second := enqueue(w, w.locks("l"), func() (struct{}, error) {
		return struct{}{}, theirs.Do(context.Background(), func(context.Context, *mutex.Hold) error { return nil })
	})
	require.True(w.t, second.waits())
	close(leave)
	require.ErrorIs(w.t, first.returns(w.t), own)
	require.NoError(w.t, second.returns(w.t))

	require.PanicsWithValue(w.t, "boom", func() {
		_ = ours.Do(within(w.t, patience), func(context.Context, *mutex.Hold) error { panic("boom") })
	})
	w.left(w.locks("l"), 0)

	// The caller's context ends under it: told so, and unlocked only then.
	ctx, cancel := context.WithCancelCause(context.Background())
	err := ours.Do(ctx, func(ctx context.Context, h *mutex.Hold) error {
		cancel(own)
		<-ctx.Done()
		require.NoError(w.t, h.Check())
		w.left(w.locks("l"), 1)
		return context.Cause(ctx)
	})
	require.ErrorIs(w.t, err, own)
	w.left(w.locks("l"), 0)
}

func doAgain(w *bench) {
	s := w.session(session.Options{TTL: 2 * w.minTTL})
	var seen []uint64
	err := w.mutex(s, "l").Do(within(w.t, patience), func(ctx context.Context, h *mutex.Hold) error {
		seen = append(seen, h.Token())
		if len(seen) == 1 {
			w.revoke(s)
			<-ctx.Done()
			require.ErrorIs(w.t, context.Cause(ctx), session.ErrLost)
			return context.Cause(ctx)
		}
		return nil
	})
	require.NoError(w.t, err)
	require.Len(w.t, seen, 2)
	require.Greater(w.t, seen[1], seen[0])

	err = w.mutex(s, "l").Do(within(w.t, patience), func(ctx context.Context, h *mutex.Hold) error {
		w.revoke(s)
		<-ctx.Done()
		return nil
	})
	require.ErrorIs(w.t, err, session.ErrLost, "others may have been at work")
}

func tokens(w *bench) {
	var last uint64
	take := func(s *session.Session) *mutex.Hold {
		w.t.Helper()
		h := w.lock(s, "l")
		require.Greater(w.t, h.Token(), last)
		require.Less(w.t, h.Token(), uint64(1)<<63)
		last = h.Token()
		return h
	}
	a, b := w.session(session.Options{TTL: 2 * w.minTTL}), w.session(session.Options{})
	w.gave(take(a).Unlock())
	w.gave(take(a).Unlock())
	w.gave(take(b).Unlock())
	lost := take(a)
	w.revoke(a)
	w.gave(take(b).Unlock())
	closes(w.t, lost.Context().Done(), "the loss")
	require.ErrorIs(w.t, lost.Unlock(), session.ErrLost)
	w.gave(take(a).Unlock())
	c := w.session(session.Options{})
	w.gave(take(c).Unlock())
	require.NoError(w.t, c.Close())
	w.gave(take(a).Unlock())
}

func unlockTwice(w *bench) {
	ss := w.sessions(2)
	first := w.lock(ss[0], "l")
	released := first.Unlock()
	w.gave(released)
	require.ErrorIs(w.t, context.Cause(first.Context()), mutex.ErrReleased)
	second := w.lock(ss[0], "l")
	third := w.queue(ss[1], "l")
	require.Equal(w.t, released, first.Unlock())
	require.NoError(w.t, second.Check())
	require.NoError(w.t, second.Context().Err())
	w.left(w.locks("l"), 2)
	require.True(w.t, third.waits())
	w.gave(second.Unlock())
	w.gave(third.gets(w.t).Unlock())
}

func revokedWhileHolding(w *bench) {
	s := w.session(session.Options{TTL: 2 * w.minTTL})
	other := w.session(session.Options{})
	hold := w.lock(s, "l")
	next := w.queue(other, "l")
	inc := w.revoke(s)
	revoked := time.Now()
	require.Greater(w.t, next.gets(w.t).Token(), hold.Token())
	closes(w.t, hold.Context().Done(), "the end of the hold")
	require.Less(w.t, time.Since(revoked), 2*w.minTTL, "noticed by the next renewal")
	require.ErrorIs(w.t, context.Cause(hold.Context()), session.ErrLost)
	require.ErrorIs(w.t, context.Cause(hold.Context()), adapters.ErrLeaseLost)
	require.ErrorIs(w.t, hold.Check(), session.ErrLost)
	require.ErrorIs(w.t, hold.Unlock(), session.ErrLost)
	require.NoError(w.t, next.place.Check(), "the next one's hold is not touched")
	w.left(w.locks("l"), 1)

	require.NotEqual(w.t, inc.ID(), current(w.t, s).ID())
	again := w.queue(s, "l")
	w.gave(next.place.Unlock())
	require.Greater(w.t, again.gets(w.t).Token(), next.place.Token())
	w.gave(again.place.Unlock())
}
