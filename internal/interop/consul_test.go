// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

func TestConsulInterop(t *testing.T) {
	server := servers.StartConsul(t, 1)
	for name, test := range map[string]func(*consulBench){
		"they hold":         theyHold,
		"we hold":           weHold,
		"they die":          theyDie,
		"we die":            weDie,
		"one session of us": oneSessionOfUs,
		"terms":             consulTerms,
		"no lock":           noLock,
		"fight":             consulFight,
		"command":           consulCommand,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(&consulBench{t: t, server: server, client: server.Client(t, 0), key: "interop/" + name})
		})
	}
}

// A consulBench is the place of one test, with a lock key of its own.
type consulBench struct {
	t      *testing.T
	server *servers.Consul
	client *api.Client
	key    string
}

func (w *consulBench) within() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *consulBench) session() *session.Session {
	w.t.Helper()
	store, err := consul.New(w.server.Client(w.t, 0), &consul.Options{MinTTL: 100 * time.Millisecond, MaxCalls: 4, MaxPolls: 4})
	require.NoError(w.t, err)
	s, err := session.Open(w.within(), store, &session.Options{TTL: ttl})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { assert.NoError(w.t, s.Close()) })
	return s
}

func (w *consulBench) mutex(s *session.Session) *mutex.Mutex {
	w.t.Helper()
	m, err := mutex.New(s, w.key, &mutex.Options{Verbatim: true})
	require.NoError(w.t, err)
	return m
}

func (w *consulBench) lock(s *session.Session) *mutex.Hold {
	w.t.Helper()
	h, err := w.mutex(s).Lock(w.within())
	require.NoError(w.t, err)
	return h
}

// api returns one of Consul's own locks on the same key.
func (w *consulBench) api(o api.LockOptions) *api.Lock {
	w.t.Helper()
	o.Key = w.key
	if o.SessionTTL == "" {
		o.SessionTTL = ttl.String()
	}
	l, err := w.client.LockOpts(&o)
	require.NoError(w.t, err)
	return l
}

// tries reports whether one of theirs gets the lock at once, and gives it back.
func (w *consulBench) theyGet() bool {
	w.t.Helper()
	l := w.api(api.LockOptions{LockTryOnce: true, LockWaitTime: 10 * time.Millisecond})
	lost, err := l.Lock(nil)
	require.NoError(w.t, err)
	if lost == nil {
		return false
	}
	require.NoError(w.t, l.Unlock())
	return true
}

func (w *consulBench) pair() *api.KVPair {
	w.t.Helper()
	kv, _, err := w.client.KV().Get(w.key, &api.QueryOptions{RequireConsistent: true})
	require.NoError(w.t, err)
	return kv
}

// soon runs f and returns what tells its end.
func soon[T any](f func() (T, error)) (value func(testing.TB) T, done <-chan struct{}) {
	var v T
	var err error
	ch := make(chan struct{})
	go func() {
		defer close(ch)
		v, err = f()
	}()
	return func(t testing.TB) T {
		t.Helper()
		select {
		case <-ch:
		case <-time.After(patience):
			require.FailNow(t, "late")
		}
		require.NoError(t, err)
		return v
	}, ch
}

func waits(t testing.TB, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
		require.FailNow(t, "was let in early")
	default:
	}
}

func theyHold(w *consulBench) {
	s := w.session()
	last := uint64(0)
	for range 3 { // the second time the key is there already
		theirs := w.api(api.LockOptions{})
		_, err := theirs.Lock(nil)
		require.NoError(w.t, err)
		_, err = w.mutex(s).TryLock(w.within())
		require.ErrorIs(w.t, err, mutex.ErrLocked)
		got, done := soon(func() (*mutex.Hold, error) { return w.mutex(s).Lock(w.within()) })
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		_, err = w.mutex(w.session()).Lock(ctx)
		cancel()
		require.ErrorIs(w.t, err, context.DeadlineExceeded)
		waits(w.t, done)
		require.NoError(w.t, theirs.Unlock())
		h := got(w.t)
		require.Greater(w.t, h.Token(), last)
		last = h.Token()
		require.NoError(w.t, h.Unlock())
	}
}

func weHold(w *consulBench) {
	h := w.lock(w.session())
	require.Equal(w.t, uint64(api.LockFlagValue), w.pair().Flags)
	require.False(w.t, w.theyGet())
	theirs := w.api(api.LockOptions{})
	got, done := soon(func() (<-chan struct{}, error) { return theirs.Lock(nil) })
	require.False(w.t, w.theyGet())
	waits(w.t, done)
	require.NoError(w.t, h.Unlock())
	require.NotNil(w.t, got(w.t))
	require.NoError(w.t, theirs.Unlock())
}

// theyDie: Consul's own locks have a lock delay, in which nobody may follow.
func theyDie(w *consulBench) {
	const delay = time.Second
	id, _, err := w.client.Session().CreateNoChecks(&api.SessionEntry{TTL: ttl.String(), LockDelay: delay}, nil)
	require.NoError(w.t, err)
	_, err = w.api(api.LockOptions{Session: id}).Lock(nil)
	require.NoError(w.t, err)
	got, done := soon(func() (*mutex.Hold, error) { return w.mutex(w.session()).Lock(w.within()) })
	waits(w.t, done)
	died := time.Now()
	_, err = w.client.Session().Destroy(id, nil)
	require.NoError(w.t, err)
	h := got(w.t)
	require.Greater(w.t, time.Since(died), delay)
	require.Less(w.t, time.Since(died), delay+3*time.Second)
	require.NoError(w.t, h.Unlock())
}

func weDie(w *consulBench) {
	s := w.session()
	h := w.lock(s)
	theirs := w.api(api.LockOptions{})
	got, done := soon(func() (<-chan struct{}, error) { return theirs.Lock(nil) })
	waits(w.t, done)
	inc, err := s.Current(w.within())
	require.NoError(w.t, err)
	require.NoError(w.t, s.Store().Revoke(w.within(), inc.Lease()))
	require.NotNil(w.t, got(w.t))
	<-h.Context().Done()
	require.ErrorIs(w.t, h.Unlock(), session.ErrLost)
	require.NoError(w.t, theirs.Unlock())
}

// oneSessionOfUs: with Consul's own locks two handles on one session both hold.
func oneSessionOfUs(w *consulBench) {
	s := w.session()
	first := w.lock(s)
	_, err := w.mutex(s).TryLock(w.within())
	require.ErrorIs(w.t, err, mutex.ErrLocked)
	got, done := soon(func() (*mutex.Hold, error) { return w.mutex(s).Lock(w.within()) })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	_, err = w.mutex(s).Lock(ctx)
	cancel()
	require.ErrorIs(w.t, err, context.DeadlineExceeded)
	waits(w.t, done)
	require.NoError(w.t, first.Check())
	require.NoError(w.t, first.Unlock())
	second := got(w.t)
	require.Greater(w.t, second.Token(), first.Token())
	require.False(w.t, w.theyGet())
	require.NoError(w.t, second.Unlock())
	require.True(w.t, w.theyGet())
}

func consulTerms(w *consulBench) {
	open := func(value string) *election.Election {
		e, err := election.New(w.session(), w.key, &election.Options{Verbatim: true, Value: value})
		require.NoError(w.t, err)
		return e
	}
	ours, observer := open("ours"), open("")
	_, err := observer.Leader(w.within())
	require.ErrorIs(w.t, err, election.ErrNoLeader)
	theirs := w.api(api.LockOptions{Value: []byte("theirs")})
	_, err = theirs.Lock(nil)
	require.NoError(w.t, err)
	leader, err := observer.Leader(w.within())
	require.NoError(w.t, err)
	require.Equal(w.t, "theirs", leader.Value)
	got, done := soon(func() (*election.Term, error) { return ours.Campaign(w.within()) })
	waits(w.t, done)
	require.NoError(w.t, theirs.Unlock())
	term := got(w.t)
	require.Equal(w.t, "ours", string(w.pair().Value))
	for range 2 {
		require.NoError(w.t, term.Proclaim(w.within(), "still ours"))
		require.Equal(w.t, "still ours", string(w.pair().Value))
		require.Equal(w.t, uint64(api.LockFlagValue), w.pair().Flags)
	}
	leader, err = observer.Leader(w.within())
	require.NoError(w.t, err)
	require.Equal(w.t, election.Leader{Value: "still ours", Token: term.Token()}, leader)
	require.NoError(w.t, term.Resign())
	_, err = observer.Leader(w.within())
	require.ErrorIs(w.t, err, election.ErrNoLeader)
}

// noLock: a key with something else in it is not taken, as api.Lock does not.
func noLock(w *consulBench) {
	_, err := w.client.KV().Put(&api.KVPair{Key: w.key, Value: []byte("settings")}, nil)
	require.NoError(w.t, err)
	before := w.pair()
	m := w.mutex(w.session())
	_, err = m.Lock(w.within())
	require.ErrorIs(w.t, err, adapters.ErrInvalid)
	require.ErrorContains(w.t, err, "is no lock")
	_, err = m.TryLock(w.within())
	require.ErrorIs(w.t, err, adapters.ErrInvalid)
	require.Equal(w.t, before, w.pair())
}

// consulFight: two of ours, two handles each, and two of theirs.
func consulFight(w *consulBench) {
	const rounds = 15
	var wg sync.WaitGroup
	var mu sync.Mutex // held by whoever holds the lock: never waited for
	inside := func() {
		assert.True(w.t, mu.TryLock(), "two hold it at once")
		mu.Unlock()
	}
	for range 2 {
		s := w.session()
		for range 2 {
			wg.Go(func() {
				for range rounds {
					h, err := w.mutex(s).Lock(w.within())
					if !assert.NoError(w.t, err) {
						return
					}
					inside()
					assert.NoError(w.t, h.Unlock())
				}
			})
		}
		wg.Go(func() {
			l := w.api(api.LockOptions{})
			for range rounds {
				if _, err := l.Lock(nil); !assert.NoError(w.t, err) {
					return
				}
				inside()
				assert.NoError(w.t, l.Unlock())
			}
		})
	}
	wg.Wait()
}
