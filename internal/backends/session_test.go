// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/goleak"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

var sessionScenarios = []scenario{
	{"lease kept over several TTLs", leaseKept},
	{"lease of a concurrency.Session", adopted},
	{"cut off", cutOff},
	{"closed while waiting", closedWhileWaiting},
}

func leaseKept(w *bench) {
	ttl := w.minTTL + 2*time.Second
	var changes atomic.Int64
	s := w.session(session.Options{TTL: ttl, Observer: &session.Observer{
		State: func(c session.StateChange) {
			if c.To == session.Lost {
				changes.Add(1)
			}
		},
	}})
	hold := w.lock(s, "l")
	select {
	case <-hold.Context().Done():
		require.NoError(w.t, context.Cause(hold.Context()))
	case <-time.After(ttl * 5 / 2): // the subject is what happens in that time: nothing
	}
	require.NoError(w.t, hold.Check())
	require.Zero(w.t, changes.Load())
	w.left(w.locks("l"), 1)
	w.gave(hold.Unlock())
}

func adopted(w *bench) {
	if w.endpoints == nil {
		return // there is no such session
	}
	client := dial(w.t, w.endpoints)
	theirs, err := concurrency.NewSession(client, concurrency.WithTTL(2))
	require.NoError(w.t, err)
	lease := adapters.LeaseID(fmt.Sprintf("%x", int64(theirs.Lease())))
	ttl := func() int64 {
		resp, err := client.TimeToLive(within(w.t, patience), theirs.Lease(), clientv3.WithAttachedKeys())
		require.NoError(w.t, err)
		require.Empty(w.t, resp.Keys)
		return resp.TTL
	}

	s := w.session(session.Options{Lease: lease, TTL: 2 * time.Second})
	require.Equal(w.t, lease, current(w.t, s).Lease())
	hold := w.lock(s, "l")
	theirs.Orphan() // now we alone renew it
	select {
	case <-hold.Context().Done():
		require.NoError(w.t, context.Cause(hold.Context()))
	case <-time.After(3 * time.Second): // the subject is what happens in that time: nothing
	}
	require.NoError(w.t, hold.Check())
	w.gave(hold.Unlock())
	require.NoError(w.t, s.Close())
	require.Positive(w.t, ttl(), "not ours to revoke, and no key of ours is left on it")

	// Its end is the end of a session that adopted it, for good.
	s = w.session(session.Options{Lease: lease, TTL: 2 * time.Second})
	hold = w.lock(s, "l")
	waiting := w.queue(w.session(session.Options{}), "l")
	require.NoError(w.t, theirs.Close())
	closes(w.t, s.Done(), "the end of the session")
	require.ErrorIs(w.t, s.Err(), session.ErrClosed)
	require.ErrorIs(w.t, s.Err(), adapters.ErrLeaseLost)
	require.Error(w.t, hold.Context().Err())
	require.Error(w.t, hold.Check())
	w.gave(waiting.gets(w.t).Unlock())
	_, err = w.mutex(s, "l").Lock(within(w.t, patience))
	require.ErrorIs(w.t, err, session.ErrClosed)
}

// cutOff: a holder that cannot reach the store has let go before the store
// lets the next one in. All times are of one clock (I1).
func cutOff(w *bench) {
	net := adaptertest.Wrap(w.open(w.t))
	s := w.sessionOn(net, session.Options{TTL: w.minTTL + 2*time.Second})
	hold := w.lock(s, "l")
	next := w.queue(w.session(session.Options{}), "l")
	var ended atomic.Int64 // ns after cut
	net.Partition(true, true)
	cut := time.Now()
	context.AfterFunc(hold.Context(), func() { ended.Store(int64(time.Since(cut))) })
	// The next holder is looked at from its own goroutine, not from this one.
	let := make(chan time.Duration, 1)
	go func() { <-next.done; let <- time.Since(cut) }()
	var lastPassed time.Duration
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		now := time.Since(cut)
		if hold.Check() != nil {
			tick.Stop()
			break
		}
		lastPassed = now
		require.Less(w.t, now, patience)
	}
	closes(w.t, hold.Context().Done(), "the end of the hold")
	got := next.gets(w.t)
	at := <-let
	require.NotZero(w.t, ended.Load())
	w.t.Logf("cut off: last Check passed after %v, context ended after %v, next holder after %v", lastPassed, time.Duration(ended.Load()), at)
	require.Less(w.t, lastPassed, at)
	require.Less(w.t, time.Duration(ended.Load()), at)
	require.ErrorIs(w.t, context.Cause(hold.Context()), session.ErrLost)
	require.ErrorIs(w.t, hold.Unlock(), session.ErrLost)
	require.NoError(w.t, got.Check())

	net.Heal()
	again := w.queue(s, "l")
	w.gave(got.Unlock())
	w.gave(again.gets(w.t).Unlock())
}

func closedWhileWaiting(w *bench) {
	ss := w.sessions(2)
	hold := w.lock(ss[0], "l")
	term, err := w.election(ss[0], "e", "").Campaign(within(w.t, patience))
	require.NoError(w.t, err)
	a := w.queue(ss[1], "l")
	b := w.candidate(ss[1], "e", "")
	held := w.lock(ss[1], "l2")
	closed := make(chan error, 1)
	go func() { closed <- ss[1].Close() }()
	require.ErrorIs(w.t, a.returns(w.t), session.ErrClosed)
	require.ErrorIs(w.t, b.returns(w.t), session.ErrClosed)
	closes(w.t, held.Context().Done(), "the word to let go")
	require.ErrorIs(w.t, context.Cause(held.Context()), session.ErrClosed)
	require.NoError(w.t, held.Check(), "nobody else can have it before it is given back")
	_, err = w.mutex(ss[0], "l2").TryLock(within(w.t, patience))
	require.ErrorIs(w.t, err, mutex.ErrLocked)
	w.gave(held.Unlock())
	require.NoError(w.t, <-closed)
	w.left(w.locks("l"), 1)
	w.left(w.terms("e"), 1)
	_, err = w.mutex(ss[1], "l").Lock(within(w.t, patience))
	require.ErrorIs(w.t, err, session.ErrClosed)
	w.gave(hold.Unlock())
	w.gave(term.Resign())
}

// noGoroutine needs the process for itself.
func noGoroutine(w *bench) {
	stores := []adapters.Store{w.open(w.t), w.open(w.t)}
	for _, store := range append(stores, w.store) { // what belongs to the clients
		for range store.Watch(within(w.t, patience), w.prefix+"/x") {
			break
		}
	}
	before := goleak.IgnoreCurrent()
	for range 2 {
		a, b := w.sessionOn(stores[0], session.Options{TTL: 2 * w.minTTL}), w.sessionOn(stores[1], session.Options{})
		hold := w.lock(a, "l")
		waiting := w.queue(b, "l")
		term := w.candidate(b, "e", "b").gets(w.t)
		ctx, cancel := context.WithCancel(context.Background())
		observed := make(chan struct{})
		go func() {
			defer close(observed)
			for range w.election(a, "e", "").Observe(ctx) {
			}
		}()
		w.revoke(a)
		closes(w.t, hold.Context().Done(), "the end of the hold")
		require.ErrorIs(w.t, hold.Unlock(), session.ErrLost)
		w.gave(waiting.gets(w.t).Unlock())
		w.gave(term.Resign())
		cancel()
		closes(w.t, observed, "the end of the observer")
		require.NoError(w.t, a.Close())
		require.NoError(w.t, b.Close())
	}
	// A client connects to all members by itself, and to some of them late, or
	// when it needs one more. These goroutines are its connections', which end
	// with the client.
	goleak.VerifyNone(w.t, before,
		goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/transport.(*loopyWriter).run"),
		goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/transport.(*http2Client).reader"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}
