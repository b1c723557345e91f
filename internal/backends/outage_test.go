// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// A fault is one way in which servers go away and come back.
type fault struct {
	name       string
	begin, end func(*servers.Member)
}

var faults = []fault{
	{"killed", (*servers.Member).Kill, (*servers.Member).Restart},
	{"frozen", (*servers.Member).Stop, (*servers.Member).Cont},
}

// outageScenarios are run one after the other on a backend of so many members.
func outageScenarios(members int) []scenario {
	var all []scenario
	for _, f := range faults {
		if members > 1 {
			all = append(all, scenario{"leader " + f.name, func(w *bench) { leaderGone(w, f) }})
		} else {
			all = append(all, scenario{"all " + f.name + " for less than a TTL", func(w *bench) { shortOutage(w, f) }})
		}
		all = append(all, scenario{"all " + f.name + " for more than a TTL", func(w *bench) { longOutage(w, f) }})
	}
	return all
}

// away takes all servers away and returns when they do not answer any more.
func (w *bench) away(f fault) {
	w.t.Helper()
	for _, m := range w.servers.Servers() {
		f.begin(m)
	}
	// A signal to freeze is sent, not done, when begin returns: a server has
	// been seen to answer one more request on a machine that is short of CPU.
	for began := time.Now(); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_, err := w.store.Read(ctx, w.prefix+"/")
		cancel()
		if err != nil {
			return
		}
		require.Less(w.t, time.Since(began), patience, "the servers still answer")
	}
}

func (w *bench) back(f fault) {
	w.t.Helper()
	for _, m := range w.servers.Servers() {
		f.end(m)
	}
	require.NoError(w.t, w.servers.Ready(within(w.t, patience)))
}

// shortOutage must not be seen by anybody who holds or waits.
func shortOutage(w *bench, f fault) {
	ss := w.sessions(2)
	hold := w.lock(ss[0], "l")
	term := w.candidate(ss[0], "e", "first").gets(w.t)
	next := w.queue(ss[1], "l")
	candidate := w.candidate(ss[1], "e", "second")
	inc := current(w.t, ss[0])
	w.away(f)

	// Whoever gives up now does so in time, though nobody answers (I9).
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	_, err := w.mutex(ss[0], "l2").Lock(ctx)
	cancel()
	require.ErrorIs(w.t, err, context.DeadlineExceeded)
	require.Less(w.t, time.Since(began), 1200*time.Millisecond)

	w.back(f)
	require.NoError(w.t, hold.Check())
	require.NoError(w.t, hold.Context().Err())
	require.NoError(w.t, term.Check())
	require.True(w.t, next.waits() && candidate.waits())
	w.gave(w.lock(ss[1], "l2").Unlock())
	w.gave(hold.Unlock())
	w.gave(term.Resign())
	w.gave(next.gets(w.t).Unlock())
	w.gave(candidate.gets(w.t).Resign())
	require.Equal(w.t, inc, current(w.t, ss[0]))
	require.Greater(w.t, next.place.Token(), hold.Token())
}

// longOutage is seen by everybody in time, and over by itself.
func longOutage(w *bench, f fault) {
	ttl := w.minTTL + 2*time.Second
	w.leases = ttl
	holder, waiter, leader := w.session(session.Options{TTL: ttl}), w.session(session.Options{TTL: ttl}), w.session(session.Options{TTL: ttl})
	closing, err := session.Open(within(w.t, patience), w.open(w.t), &session.Options{Prefix: w.prefix, TTL: ttl, CloseTimeout: time.Second})
	require.NoError(w.t, err)
	hold := w.lock(holder, "l")
	waiting := w.queue(waiter, "l")
	term := w.candidate(leader, "e", "first").gets(w.t)
	old := current(w.t, holder)

	w.away(f)
	gone := time.Now()
	// The last renewal that they heard of was sent before.
	require.NoError(w.t, hold.Check())
	require.ErrorIs(w.t, closing.Close(), adapters.ErrUnknown)
	require.Less(w.t, time.Since(gone), 1500*time.Millisecond, "Close is bounded")

	for what, done := range map[string]<-chan struct{}{"hold": hold.Context().Done(), "term": term.Context().Done(), "wait": waiting.done} {
		closes(w.t, done, "the end of the "+what)
		require.Less(w.t, time.Since(gone), ttl, "%s: after the servers may have ended the lease", what)
	}
	require.ErrorIs(w.t, context.Cause(hold.Context()), session.ErrLost)
	require.ErrorIs(w.t, hold.Check(), session.ErrLost)
	require.ErrorIs(w.t, term.Check(), session.ErrLost)
	require.ErrorIs(w.t, waiting.err, session.ErrLost)
	require.ErrorIs(w.t, holder.Check(), session.ErrLost)
	require.ErrorIs(w.t, hold.Unlock(), session.ErrLost)
	require.Equal(w.t, session.Lost, holder.State())
	require.ErrorIs(w.t, term.Resign(), session.ErrLost)

	w.back(f)
	back := time.Now()
	require.NotEqual(w.t, old.ID(), current(w.t, holder).ID(), "comes back by itself")
	// Servers that were killed give every lease its full time once more.
	again := w.lock(waiter, "l")
	w.t.Logf("%s: held again %v after the servers were back", f.name, time.Since(back).Round(time.Millisecond))
	require.Greater(w.t, again.Token(), hold.Token(), "across the restart")
	third := w.queue(holder, "l")
	w.gave(again.Unlock())
	require.Greater(w.t, third.gets(w.t).Token(), again.Token())
	w.gave(third.place.Unlock())
	w.gave(w.candidate(leader, "e", "again").gets(w.t).Resign())
}

// leaderGone: with a majority left nobody loses anything, and work goes on.
func leaderGone(w *bench, f fault) {
	ttl := w.minTTL + 2*time.Second + 2*w.leaderless
	w.leases = ttl
	a, b := w.session(session.Options{TTL: ttl}), w.session(session.Options{TTL: ttl})
	hold := w.lock(a, "kept")
	incs := []*session.Incarnation{current(w.t, a), current(w.t, b)}
	leader, err := w.servers.Leader(within(w.t, patience))
	require.NoError(w.t, err)
	f.begin(w.servers.Member(leader))
	gone := time.Now()

	var handOvers int
	for last := uint64(0); time.Since(gone) < ttl+ttl/6; handOvers++ {
		h := w.lock(a, "l")
		require.Greater(w.t, h.Token(), last)
		next := make(chan *mutex.Hold, 1)
		m := w.mutex(b, "l")
		go func() {
			h, err := m.Lock(within(w.t, patience))
			if err != nil {
				w.t.Error(err)
			}
			next <- h
		}()
		released(w.t, h)
		got := <-next
		require.NotNil(w.t, got)
		require.Greater(w.t, got.Token(), h.Token())
		last = got.Token()
		released(w.t, got)
	}
	w.t.Logf("%d hand-overs while the leader was %s", handOvers, f.name)
	require.Positive(w.t, handOvers)
	require.NoError(w.t, hold.Check())
	require.NoError(w.t, hold.Context().Err())
	require.Equal(w.t, incs, []*session.Incarnation{current(w.t, a), current(w.t, b)})
	// Before the member wakes: a leader of yesterday may end leases that the
	// present one has renewed (docs/decisions/0008).
	w.gave(hold.Unlock())
	f.end(w.servers.Member(leader))
	require.NoError(w.t, w.servers.Ready(within(w.t, patience)))
}

// released unlocks. With a member gone the answer may be that it goes on in
// the background; that the lock becomes free is what the next one shows.
func released(t testing.TB, h *mutex.Hold) {
	t.Helper()
	if err := h.Unlock(); err != nil {
		require.ErrorIs(t, err, adapters.ErrUnknown, fmt.Sprint(err))
	}
}
