// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/session"
)

var queueScenarios = []scenario{
	{"context over while waiting", contextOver},
	{"waiter in the middle gives up", func(w *bench) {
		ctx, cancel := context.WithCancelCause(context.Background())
		middleGoes(w, ctx, func(*session.Session) { cancel(errGivenUp) }, errGivenUp)
	}},
	{"session of the waiter in the middle is closed", func(w *bench) {
		middleGoes(w, context.Background(), func(s *session.Session) { require.NoError(w.t, s.Close()) }, session.ErrClosed)
	}},
	{"lease of the waiter in the middle is revoked", func(w *bench) {
		middleGoes(w, context.Background(), func(s *session.Session) { w.revoke(s) }, session.ErrLost)
	}},
	{"own slot deleted while waiting", slotDeleted},
	{"phantom holder", phantomHolder},
}

var errGivenUp = errors.New("given up")

func contextOver(w *bench) {
	ss := w.sessions(2)
	hold := w.lock(ss[0], "l")
	for range 5 {
		ctx, cancel := context.WithCancelCause(context.Background())
		a := w.queueIn(ctx, ss[1], "l")
		over := time.Now()
		cancel(errGivenUp)
		require.ErrorIs(w.t, a.returns(w.t), errGivenUp)
		require.Less(w.t, time.Since(over), time.Second)
		w.left(w.locks("l"), 1)

		ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
		_, err := w.mutex(ss[1], "l").Lock(ctx)
		at, _ := ctx.Deadline()
		require.Less(w.t, time.Since(at), time.Second)
		stop()
		require.ErrorIs(w.t, err, context.DeadlineExceeded)
		w.left(w.locks("l"), 1)
	}
	require.NoError(w.t, hold.Check())
	w.gave(hold.Unlock())
}

// middleGoes has a holder and three waiters, of which the second goes in the
// way that is told. The third has to see it, look again and wait on.
func middleGoes(w *bench, ctx context.Context, goes func(*session.Session), want error) {
	hold := w.lock(w.session(session.Options{}), "l")
	first := w.queue(w.session(session.Options{}), "l")
	going := w.session(session.Options{TTL: 2 * w.minTTL})
	middle := w.queueIn(ctx, going, "l")
	eye := adaptertest.Wrap(w.open(w.t))
	last := w.queue(w.sessionOn(eye, session.Options{}), "l")
	turned := looksAt(eye, first.key)

	goes(going)
	require.ErrorIs(w.t, middle.returns(w.t), want)
	w.left(w.locks("l"), 3)
	require.Equal(w.t, []string{first.key, last.key}, w.slots(w.locks("l"))[1:])
	closes(w.t, turned, "the last waiter's turn to the one that is now ahead of it")
	require.True(w.t, first.waits() && last.waits(), "let in early")
	require.NoError(w.t, hold.Check())

	w.gave(hold.Unlock())
	second := first.gets(w.t)
	require.True(w.t, last.waits(), "let in early")
	require.NoError(w.t, second.Check())
	w.gave(second.Unlock())
	third := last.gets(w.t)
	require.Greater(w.t, second.Token(), hold.Token())
	require.Greater(w.t, third.Token(), second.Token())
	w.gave(third.Unlock())
}

func (w *bench) delete(key string) {
	w.t.Helper()
	_, err := w.store.Commit(within(w.t, patience), adapters.Tx{Then: []adapters.Op{adapters.Delete(key)}})
	require.NoError(w.t, err)
}

func slotDeleted(w *bench) {
	ss := w.sessions(3)
	hold := w.lock(ss[0], "l")
	robbed := w.queue(ss[1], "l")
	behind := w.queue(ss[2], "l")
	w.delete(robbed.key)
	w.gave(hold.Unlock())
	next := behind.gets(w.t)
	view := w.until(w.locks("l"), "the new slot", func(v adapters.View) bool { return len(v.KVs) == 2 })
	require.NotContains(w.t, byAge(view), robbed.key, "a name is used once")
	require.True(w.t, robbed.waits(), "what it lost does not count")
	w.gave(next.Unlock())
	require.Greater(w.t, robbed.gets(w.t).Token(), next.Token())
	w.gave(robbed.place.Unlock())
}

// phantomHolder: the lease ends while its owner waits and does not know it
// yet. Then the lock becomes free. Nobody may hold it without a slot.
func phantomHolder(w *bench) {
	ss := w.sessions(2) // renewed so rarely that it does not learn it by itself
	hold := w.lock(ss[0], "l")
	a := w.queue(ss[1], "l")
	w.revoke(ss[1])
	w.gave(hold.Unlock())
	require.ErrorIs(w.t, a.returns(w.t), session.ErrLost)
	require.Nil(w.t, a.place)
	w.left(w.locks("l"), 0)
	w.gave(w.lock(ss[1], "l").Unlock())
}
