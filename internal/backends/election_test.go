// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/session"
)

var electionScenarios = []scenario{
	{"campaign, proclaim, resign", campaign},
	{"resign hands over", resignHandsOver},
	{"lead again after a loss", leadAgain},
	{"lead, resign, lead", leadResign},
	{"observers never go back", observers},
	{"phantom leader", phantomLeader},
}

// next waits for the next thing that an observer is told.
func (w *bench) next(pull func() (election.Leader, error, bool)) election.Leader {
	w.t.Helper()
	l, err, ok := pull()
	require.True(w.t, ok)
	require.NoError(w.t, err)
	return l
}

func campaign(w *bench) {
	ss := w.sessions(2)
	ours, theirs := w.election(ss[0], "e", "ours"), w.election(ss[1], "e", "theirs")
	pull, stop := iter.Pull2(theirs.Observe(within(w.t, 2*patience)))
	defer stop()
	require.True(w.t, w.next(pull).Nobody())
	_, err := theirs.Leader(within(w.t, patience))
	require.ErrorIs(w.t, err, election.ErrNoLeader)

	term, err := ours.Campaign(within(w.t, patience))
	require.NoError(w.t, err)
	want := election.Leader{Value: "ours", Token: term.Token(), Session: current(w.t, ss[0]).ID()}
	require.Equal(w.t, want, w.next(pull))
	leader, err := theirs.Leader(within(w.t, patience))
	require.NoError(w.t, err)
	require.Equal(w.t, want, leader)

	for _, value := range []string{"moved", "not text \xff", "", "moved again"} {
		require.NoError(w.t, term.Proclaim(within(w.t, patience), value))
		want.Value = value
		require.Equal(w.t, want, w.next(pull))
	}
	require.NoError(w.t, term.Check())
	w.gave(term.Resign())
	require.True(w.t, w.next(pull).Nobody())
	require.ErrorIs(w.t, term.Proclaim(within(w.t, patience), "late"), election.ErrResigned)
	require.ErrorIs(w.t, context.Cause(term.Context()), election.ErrResigned)
	w.gave(term.Resign())

	ctx, cancel := context.WithCancelCause(context.Background())
	end, stopEnd := iter.Pull2(ours.Observe(ctx))
	defer stopEnd()
	require.True(w.t, w.next(end).Nobody())
	cancel(errGivenUp)
	_, err, ok := end()
	require.True(w.t, ok)
	require.ErrorIs(w.t, err, errGivenUp, "it does not end without an error")
	_, _, ok = end()
	require.False(w.t, ok)
}

func (w *bench) candidate(s *session.Session, name, value string) *waiter[*election.Term] {
	w.t.Helper()
	e := w.election(s, name, value)
	return enqueue(w, w.terms(name), func() (*election.Term, error) { return e.Campaign(context.Background()) })
}

func resignHandsOver(w *bench) {
	ss := w.sessions(3)
	observer := w.election(ss[0], "e", "")
	var queue []*waiter[*election.Term]
	for i, s := range ss {
		queue = append(queue, w.candidate(s, "e", fmt.Sprint("n", i)))
	}
	var last uint64
	for i, c := range queue {
		term := c.gets(w.t)
		for _, later := range queue[i+1:] {
			require.True(w.t, later.waits())
		}
		require.Greater(w.t, term.Token(), last)
		last = term.Token()
		leader, err := observer.Leader(within(w.t, patience))
		require.NoError(w.t, err)
		require.Equal(w.t, fmt.Sprint("n", i), leader.Value)
		w.gave(term.Resign())
	}
}

func leadAgain(w *bench) {
	s, other := w.session(session.Options{TTL: 2 * w.minTTL}), w.session(session.Options{})
	var terms []uint64
	err := w.election(s, "e", "s").Lead(within(w.t, patience), func(ctx context.Context, term *election.Term) error {
		terms = append(terms, term.Token())
		if len(terms) == 3 {
			return errGivenUp
		}
		w.revoke(s)
		// Somebody else leads in between, before this one is told.
		between, err := w.election(other, "e", "other").Campaign(within(w.t, patience))
		require.NoError(w.t, err)
		require.Greater(w.t, between.Token(), term.Token())
		terms = append(terms, between.Token())
		w.gave(between.Resign())
		<-ctx.Done()
		require.ErrorIs(w.t, context.Cause(ctx), session.ErrLost)
		require.ErrorIs(w.t, term.Check(), session.ErrLost)
		return context.Cause(ctx)
	})
	require.ErrorIs(w.t, err, errGivenUp, "what the function returns ends it")
	require.Len(w.t, terms, 3)
	require.Greater(w.t, terms[2], terms[1])
}

func leadResign(w *bench) {
	ss := w.sessions(2)
	var other *waiter[*election.Term]
	terms := 0
	err := w.election(ss[0], "e", "ours").Lead(within(w.t, patience), func(ctx context.Context, term *election.Term) error {
		if terms++; terms == 2 {
			return nil
		}
		other = w.candidate(ss[1], "e", "theirs")
		w.gave(term.Resign())
		<-ctx.Done()
		require.True(w.t, other.waits(), "the place is kept until the function has returned")
		go func() {
			<-other.done
			if other.err == nil {
				_ = other.place.Resign()
			}
		}()
		return nil
	})
	require.NoError(w.t, err)
	require.Equal(w.t, 2, terms)
	other.gets(w.t)
	w.gave(other.place.Resign())

	// A closed session ends it for good.
	inside, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- w.election(ss[0], "e", "").Lead(context.Background(), func(ctx context.Context, _ *election.Term) error {
			close(inside)
			<-ctx.Done()
			return context.Cause(ctx)
		})
	}()
	closes(w.t, inside, "the term")
	require.NoError(w.t, ss[0].Close())
	require.ErrorIs(w.t, <-done, session.ErrClosed)
}

// observers watch 100 quick terms of three candidates, each with two values.
func observers(w *bench) {
	const terms = 100
	ss := w.sessions(3)
	type seen struct {
		leaders []election.Leader
		err     error
	}
	watch := func(s *session.Session, began chan<- struct{}) <-chan seen {
		e := w.election(s, "e", "")
		ch := make(chan seen, 1)
		go func() {
			var all seen
			for l, err := range e.Observe(within(w.t, 2*patience)) {
				if all.leaders == nil {
					close(began)
				}
				all.leaders, all.err = append(all.leaders, l), err
				if err != nil || l.Value == "the end" {
					break
				}
			}
			ch <- all
		}()
		return ch
	}
	var seers []<-chan seen
	for _, s := range ss {
		began := make(chan struct{})
		seers = append(seers, watch(s, began))
		closes(w.t, began, "the first view")
	}
	values := map[uint64]string{} // of terms
	for i := range terms {
		first := fmt.Sprint("term ", i)
		term, err := w.election(ss[i%len(ss)], "e", first).Campaign(within(w.t, patience))
		require.NoError(w.t, err)
		values[term.Token()] = first
		require.NoError(w.t, term.Proclaim(within(w.t, patience), first+" still"))
		w.gave(term.Resign())
	}
	term, err := w.election(ss[0], "e", "the end").Campaign(within(w.t, patience))
	require.NoError(w.t, err)
	values[term.Token()] = "the end"

	for i, ch := range seers {
		all := <-ch
		require.NoError(w.t, all.err)
		require.True(w.t, all.leaders[0].Nobody())
		var last election.Leader
		over := false // the last term is known to be
		shown := map[uint64]bool{}
		for _, l := range all.leaders {
			if l.Nobody() {
				over = true
				continue
			}
			shown[l.Token] = true
			first, known := values[l.Token]
			require.True(w.t, known, "a leader that never led: %v", l)
			require.Contains(w.t, []string{first, first + " still"}, l.Value)
			switch {
			case l.Token < last.Token, l.Token == last.Token && over:
				require.FailNow(w.t, "went back", "from %v to %v, over: %v", last, l, over)
			case l.Token == last.Token:
				require.Equal(w.t, first+" still", l.Value, "the value went back")
			}
			last, over = l, false
		}
		require.Equal(w.t, term.Token(), last.Token, "the latest is always told")
		w.t.Logf("observer %d saw %d of %d terms", i, len(shown), terms+1)
	}
	w.gave(term.Resign())
}

// phantomLeader is the case in which plain etcd elections return success
// without a lease and without a key.
func phantomLeader(w *bench) {
	ss := w.sessions(3)
	term := w.candidate(ss[0], "e", "first").gets(w.t)
	a := w.candidate(ss[1], "e", "second")
	w.revoke(ss[1])
	w.gave(term.Resign())
	require.ErrorIs(w.t, a.returns(w.t), session.ErrLost)
	require.Nil(w.t, a.place)
	w.left(w.terms("e"), 0)
	_, err := w.election(ss[2], "e", "").Leader(within(w.t, patience))
	require.ErrorIs(w.t, err, election.ErrNoLeader)

	began := time.Now()
	again, err := w.election(ss[1], "e", "second").Campaign(within(w.t, patience))
	require.NoError(w.t, err)
	require.Less(w.t, time.Since(began), long/4, "with a new lease, at once")
	w.gave(again.Resign())
}
