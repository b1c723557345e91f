// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// Two processes, each with a token that has the policy as it stands.

func consulLock(t *testing.T, site *consulSite) {
	waiting := make(chan session.Place, 1)
	a := site.session(t, site.token(t, site.rules).secret, session.Options{})
	b := site.session(t, site.token(t, site.rules).secret, session.Options{
		Observer: &session.Observer{Wait: func(p session.Place) { waiting <- p }},
	})
	ctx := within(t, patience)
	ma, mb := consulMutex(t, a, "work/lock", false), consulMutex(t, b, "work/lock", false)

	first, err := ma.Lock(ctx)
	require.NoError(t, err)
	_, err = mb.TryLock(ctx)
	require.ErrorIs(t, err, mutex.ErrLocked)

	next := consulJoin(ctx, mb)
	get(t, waiting, "the second to queue")
	require.NoError(t, first.Check())
	require.NoError(t, first.Unlock())
	second := get(t, next, "the lock")
	require.NoError(t, second.err)
	require.Greater(t, second.Token(), first.Token())
	require.NoError(t, second.Unlock())

	again, err := ma.TryLock(ctx)
	require.NoError(t, err)
	require.NoError(t, again.Unlock())
	require.NoError(t, mb.Do(ctx, func(ctx context.Context, h *mutex.Hold) error {
		require.Greater(t, h.Token(), again.Token())
		return ctx.Err()
	}))

	// A message, which is a write to the other's inbox.
	got := make(chan session.Message, 1)
	b.Handle("yield", func(m session.Message) { got <- m })
	inc, err := b.Current(ctx)
	require.NoError(t, err)
	require.NoError(t, a.Send(ctx, inc.ID(), session.Message{Kind: "yield", Body: "please"}))
	require.Equal(t, "please", get(t, got, "the message").Body)
}

func consulElection(t *testing.T, site *consulSite) {
	a := site.session(t, site.token(t, site.rules).secret, session.Options{})
	b := site.session(t, site.token(t, site.rules).secret, session.Options{})
	ctx, cancel := context.WithCancel(within(t, patience))
	ea, eb := consulOffice(t, a, "work/office", "a"), consulOffice(t, b, "work/office", "b")

	_, err := eb.Leader(ctx)
	require.ErrorIs(t, err, election.ErrNoLeader)
	seen := make(chan election.Leader, 16)
	ended := make(chan error, 1)
	go func() {
		for l, err := range eb.Observe(ctx) {
			if err != nil {
				ended <- err
				return
			}
			seen <- l
		}
	}()
	require.True(t, get(t, seen, "nobody").Nobody())

	term, err := ea.Campaign(ctx)
	require.NoError(t, err)
	require.Equal(t, "a", get(t, seen, "the leader").Value)
	require.NoError(t, term.Proclaim(ctx, "a, elsewhere"))
	now, err := eb.Leader(ctx)
	require.NoError(t, err)
	require.Equal(t, "a, elsewhere", now.Value)
	require.Equal(t, now, get(t, seen, "the new value"))

	leads, led := make(chan uint64, 2), make(chan error, 1)
	go func() {
		led <- eb.Lead(ctx, func(_ context.Context, term *election.Term) error {
			leads <- term.Token()
			return nil
		})
	}()
	require.NoError(t, term.Resign())
	require.Greater(t, get(t, leads, "the hand-over"), term.Token())
	require.NoError(t, get(t, led, "the end of the second term"))
	cancel()
	require.ErrorIs(t, get(t, ended, "the end of Observe"), context.Canceled)
}

func consulMutex(t testing.TB, s *session.Session, name string, verbatim bool) *mutex.Mutex {
	t.Helper()
	m, err := mutex.New(s, name, &mutex.Options{Verbatim: verbatim})
	require.NoError(t, err)
	return m
}

func consulOffice(t testing.TB, s *session.Session, name, value string) *election.Election {
	t.Helper()
	e, err := election.New(s, name, &election.Options{Value: value})
	require.NoError(t, err)
	return e
}

type consulJoined struct {
	*mutex.Hold
	err error
}

// consulJoin locks in the background.
func consulJoin(ctx context.Context, m *mutex.Mutex) <-chan consulJoined {
	done := make(chan consulJoined, 1)
	go func() {
		h, err := m.Lock(ctx)
		done <- consulJoined{h, err}
	}()
	return done
}
