// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"context"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/session"
)

// userCodeBusy: an observer of the session, the handler of a message and the
// body of an Observe loop do not return. They share a client with a waiter, who
// must be let in all the same, again and again; and when they go on, they hear
// of everything, or of what is true by then.
func userCodeBusy(w *bench) {
	const rounds = 10
	free := make(chan struct{})
	release := sync.OnceFunc(func() { close(free) })
	inObserver, inHandler, inLoop := make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	busy := func(in chan struct{}) {
		select {
		case in <- struct{}{}:
		default: // not the first time
		}
		<-free
	}
	var acquired, released []uint64 // by the observer's goroutine
	s := w.session(session.Options{Observer: &session.Observer{
		State:   func(session.StateChange) { busy(inObserver) },
		Acquire: func(p session.Place) { acquired = append(acquired, p.Token) },
		Release: func(p session.Place) { released = append(released, p.Token) },
	}})
	w.t.Cleanup(release) // before the session is closed
	other := w.session(session.Options{})

	s.Handle("busy", func(session.Message) { busy(inHandler) })
	require.NoError(w.t, other.Send(within(w.t, patience), current(w.t, s).ID(), session.Message{Kind: "busy"}))
	ctx, stop := context.WithCancel(context.Background())
	seen := make(chan election.Leader, 1)
	end := make(chan struct{})
	w.t.Cleanup(stop)
	e := w.election(s, "e", "")
	go func() {
		defer close(end)
		for l, err := range e.Observe(ctx) {
			if err != nil {
				return
			}
			busy(inLoop)
			if l.Value == "latest" {
				seen <- l
			}
		}
	}()
	for what, in := range map[string]chan struct{}{"observer": inObserver, "handler": inHandler, "loop": inLoop} {
		comes(w, in, "the call of the "+what)
	}

	var tokens []uint64
	hold := w.lock(other, "l")
	for range rounds {
		ours := w.queue(s, "l")
		w.gave(hold.Unlock())
		got := ours.gets(w.t)
		require.NoError(w.t, got.Check())
		tokens = append(tokens, got.Token())
		theirs := w.queue(other, "l")
		w.gave(got.Unlock())
		hold = theirs.gets(w.t)
	}
	w.gave(hold.Unlock())
	for _, value := range []string{"first", "latest"} {
		term, err := w.election(other, "e", value).Campaign(within(w.t, patience))
		require.NoError(w.t, err)
		if value == "latest" {
			defer func() { w.gave(term.Resign()) }()
			break
		}
		w.gave(term.Resign())
	}
	release()
	comes(w, seen, "the latest leader")
	stop()
	closes(w.t, end, "the end of the loop")
	require.NoError(w.t, s.Close())
	require.Equal(w.t, tokens, acquired, "told late, and all of it")
	require.Equal(w.t, tokens, released)
}

func comes[T any](w *bench, ch <-chan T, what string) {
	w.t.Helper()
	select {
	case <-ch:
	case <-within(w.t, patience).Done():
		require.FailNow(w.t, "late", "%s has not come in %v", what, patience)
	}
}
