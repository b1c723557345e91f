// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/session"
)

const consulShort = 2 * time.Second // a TTL whose end is waited for

// consulHolderWithdrawn takes the policy of a token away while it holds a lock.
func consulHolderWithdrawn(t *testing.T, site *consulSite) {
	token := site.token(t, site.rules)
	waiting := make(chan session.Place, 1)
	holder := site.session(t, token.secret, session.Options{TTL: consulShort})
	next := site.session(t, site.token(t, site.rules).secret, session.Options{
		Observer: &session.Observer{Wait: func(p session.Place) { waiting <- p }},
	})
	ctx := within(t, patience)
	hold, err := consulMutex(t, holder, "withdrawn", false).Lock(ctx)
	require.NoError(t, err)
	type taken struct {
		joined consulJoined
		before error // what the holder thinks of it by then
	}
	got := make(chan taken, 1)
	m := consulMutex(t, next, "withdrawn", false)
	go func() {
		h, err := m.Lock(ctx)
		got <- taken{consulJoined{h, err}, hold.Check()}
	}()
	get(t, waiting, "the next one to queue")

	began := time.Now()
	token.withdraw()
	withdrawn := time.Now()
	get(t, hold.Context().Done(), "the end of the holder's context")
	require.Less(t, time.Since(withdrawn), consulShort, "trust ends within the TTL")
	cause := context.Cause(hold.Context())
	require.ErrorIs(t, cause, session.ErrLost)
	require.ErrorIs(t, cause, adapters.ErrDenied)
	require.ErrorContains(t, cause, `lacks permission 'session:write' on "quorate"`)
	require.ErrorIs(t, hold.Check(), session.ErrLost)

	second := get(t, got, "the hand-over")
	require.NoError(t, second.joined.err)
	require.ErrorIs(t, second.before, session.ErrLost, "nobody gets the place before the holder has let go")
	require.Greater(t, second.joined.Token(), hold.Token())
	t.Logf("handed over %v after the policy was withdrawn", time.Since(began))
	require.NoError(t, second.joined.Unlock())

	// It does not come back, whatever the token may do from now on.
	get(t, holder.Done(), "the end of the session")
	require.ErrorIs(t, holder.Err(), session.ErrClosed)
	require.ErrorIs(t, holder.Err(), adapters.ErrDenied)
	require.Equal(t, session.Closed, holder.State())
	token.giveBack()
	_, err = consulMutex(t, holder, "withdrawn", false).Lock(ctx)
	require.ErrorIs(t, err, session.ErrClosed)
	require.ErrorIs(t, err, adapters.ErrDenied)
	again, err := consulMutex(t, site.session(t, token.secret, session.Options{}), "withdrawn", false).Lock(ctx)
	require.NoError(t, err, "a new session works")
	require.NoError(t, again.Unlock())
}

// consulWaiterWithdrawn takes the policy of a token away while it waits.
func consulWaiterWithdrawn(t *testing.T, site *consulSite) {
	waiting := make(chan session.Place, 2)
	observed := session.Options{Observer: &session.Observer{Wait: func(p session.Place) { waiting <- p }}}
	full := site.token(t, site.rules).secret
	holder := site.session(t, full, session.Options{})
	ctx := within(t, patience)
	hold, err := consulMutex(t, holder, "withdrawn-waiter", false).Lock(ctx)
	require.NoError(t, err)

	token := site.token(t, site.rules)
	short := observed
	short.TTL = consulShort
	waiter := site.session(t, token.secret, short)
	second := consulJoin(ctx, consulMutex(t, waiter, "withdrawn-waiter", false))
	get(t, waiting, "the second to queue")
	third := consulJoin(ctx, consulMutex(t, site.session(t, full, observed), "withdrawn-waiter", false))
	get(t, waiting, "the third to queue")

	token.withdraw()
	withdrawn := time.Now()
	gaveUp := get(t, second, "the end of the wait")
	require.Less(t, time.Since(withdrawn), consulShort)
	require.ErrorIs(t, gaveUp.err, session.ErrLost)
	require.ErrorIs(t, gaveUp.err, adapters.ErrDenied)
	get(t, waiter.Done(), "the end of the session")
	require.ErrorIs(t, waiter.Err(), adapters.ErrDenied)

	// Its slot goes with its lease, and that changes nothing for the others.
	require.Eventually(t, func() bool {
		view, err := holder.Store().Read(ctx, "quorate/mutex/withdrawn-waiter/")
		require.NoError(t, err)
		return len(view.KVs) == 2
	}, patience, 10*time.Millisecond)
	require.NoError(t, hold.Check())
	select {
	case j := <-third:
		require.FailNow(t, "a second holder", "%v", j)
	default:
	}
	require.NoError(t, hold.Unlock())
	last := get(t, third, "the lock")
	require.NoError(t, last.err)
	require.NoError(t, last.Unlock())
}

// consulObserverWithdrawn takes the policy of a token away while it observes.
// A query that the server has keeps the rights that it came with, and the next
// one waits for a change too: so the end comes with the second change at the
// latest, or after a minute.
func consulObserverWithdrawn(t *testing.T, site *consulSite) {
	ctx := within(t, patience)
	leader := site.session(t, site.token(t, site.rules).secret, session.Options{})
	term, err := consulOffice(t, leader, "withdrawn", "1").Campaign(ctx)
	require.NoError(t, err)

	for name, polls := range map[string]int{"query of its own": 8, "query shared": 1} {
		t.Run(name, func(t *testing.T) { consulObserver(t, site, term, polls) })
	}
	require.NoError(t, term.Resign())
}

func consulObserver(t *testing.T, site *consulSite, term *election.Term, polls int) {
	ctx := within(t, patience)
	token := site.token(t, site.rules)
	store, _ := site.store(t, token.secret, consul.Options{MaxPolls: polls})
	observer, err := session.Open(ctx, store, &session.Options{TTL: long})
	require.NoError(t, err)
	require.NoError(t, term.Proclaim(ctx, "1"))
	next, stop := iter.Pull2(store.Watch(ctx, "quorate/another")) // if there is one query, it has that
	defer stop()
	_, err, _ = next()
	require.NoError(t, err)

	seen, ended := make(chan election.Leader, 16), make(chan error, 1)
	go func() {
		for l, err := range consulOffice(t, observer, "withdrawn", "").Observe(ctx) {
			if err != nil {
				ended <- err
				return
			}
			seen <- l
		}
	}()
	require.Equal(t, "1", get(t, seen, "the leader").Value)
	token.withdraw()
	require.NoError(t, term.Proclaim(ctx, "2"))
	select {
	case l := <-seen:
		require.Equal(t, "2", l.Value)
		require.NoError(t, term.Proclaim(ctx, "3"))
	case err := <-ended:
		ended <- err
	case <-ctx.Done():
		require.FailNow(t, "neither the new value nor an end")
	}
	denied(t, func() error { return get(t, ended, "the end of Observe") }, "observe", `"quorate/election/withdrawn/"`)
	require.Empty(t, seen, "it never looks as if nobody led")
	token.giveBack()
	require.NoError(t, observer.Close())
}

// consulKeysWithdrawn leaves a holder the right to his lease, and none to keys:
// he cannot give a place back, and must not keep it for as long as he lives.
func consulKeysWithdrawn(t *testing.T, site *consulSite) {
	token := site.token(t, site.rules)
	holder := site.session(t, token.secret, session.Options{})
	ctx := within(t, patience)
	hold, err := consulMutex(t, holder, "withdrawn-keys", false).Lock(ctx)
	require.NoError(t, err)
	next := consulJoin(ctx, consulMutex(t, site.session(t, site.token(t, site.rules).secret, session.Options{}), "withdrawn-keys", false))

	token.allow(consulLeases + consulNode)
	denied(t, hold.Unlock, "unlock", `on "quorate/mutex/withdrawn-keys/`)
	second := get(t, next, "the lock")
	require.NoError(t, second.err)
	require.NoError(t, second.Unlock())
	get(t, holder.Done(), "the end of the session")
	require.ErrorIs(t, holder.Err(), adapters.ErrDenied)
}

// consulWithdrawnBriefly gives the policy back before trust has ended.
func consulWithdrawnBriefly(t *testing.T, site *consulSite) {
	token := site.token(t, site.rules)
	states := make(chan session.StateChange, 16)
	s := site.session(t, token.secret, session.Options{
		TTL:      2 * consulShort,
		Observer: &session.Observer{State: func(c session.StateChange) { states <- c }},
	})
	until := func(want session.State) {
		for get(t, states, want.String()).To != want {
		}
	}
	until(session.Active)
	ctx := within(t, patience)
	hold, err := consulMutex(t, s, "withdrawn-briefly", false).Lock(ctx)
	require.NoError(t, err)
	got := make(chan session.Message, 4)
	s.Handle("yield", func(m session.Message) { got <- m })
	inc, err := s.Current(ctx)
	require.NoError(t, err)
	other := site.session(t, site.token(t, site.rules).secret, session.Options{})

	token.withdraw()
	for _, body := range []string{"1", "2"} { // each ends a query of the inbox
		require.NoError(t, other.Send(ctx, inc.ID(), session.Message{Kind: "yield", Body: body}))
	}
	until(session.Jeopardy)
	require.NoError(t, hold.Check())
	token.giveBack()
	until(session.Active)
	require.NoError(t, hold.Check())
	for get(t, got, "the messages that could not be read meanwhile").Body != "2" {
	}
	require.NoError(t, hold.Unlock())
}
