// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/etcd"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

const (
	patience = 20 * time.Second // for what has to come
	ttl      = 20 * time.Second // nothing here waits for the end of a lease
)

// A bench is the place of one test.
type bench struct {
	t         *testing.T
	endpoints []string
	client    *clientv3.Client // of somebody who takes no part
	store     adapters.Store
}

func newBench(t *testing.T, server *servers.Etcd) *bench {
	w := &bench{t: t, endpoints: server.Endpoints()}
	w.client, w.store = w.dial()
	return w
}

func (w *bench) dial() (*clientv3.Client, adapters.Store) {
	w.t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: w.endpoints, Logger: zap.NewNop()})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = client.Close() })
	store, err := etcd.New(client, nil)
	require.NoError(w.t, err)
	return client, store
}

// ours opens a session of ours.
func (w *bench) ours(o session.Options) *session.Session {
	w.t.Helper()
	_, store := w.dial()
	if o.TTL == 0 {
		o.TTL = ttl
	}
	s, err := session.Open(w.within(), store, &o)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { assert.NoError(w.t, s.Close()) })
	return s
}

// theirs opens a session of theirs.
func (w *bench) theirs() *concurrency.Session {
	w.t.Helper()
	client, _ := w.dial()
	s, err := concurrency.NewSession(client, concurrency.WithTTL(int(ttl/time.Second)))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (w *bench) within() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

// A contender is somebody who can stand in the queue of a key.
type contender struct {
	who   string
	join  func() error // waits for the place
	leave func() error
	die   func() // its lease is revoked

	done chan struct{} // closed when join has returned
	err  error         // valid after done
}

// kinds are the contenders that one key can have.
var kinds = map[string]func(w *bench, key string) *contender{
	"our lock": func(w *bench, key string) *contender {
		s := w.ours(session.Options{})
		m, err := mutex.New(s, key, &mutex.Options{Verbatim: true})
		require.NoError(w.t, err)
		var hold *mutex.Hold
		return &contender{
			join:  func() (err error) { hold, err = m.Lock(context.Background()); return },
			leave: func() error { return given(hold.Unlock()) },
			die:   func() { w.revoke(s) },
		}
	},
	"our election": func(w *bench, key string) *contender {
		s := w.ours(session.Options{})
		e, err := election.New(s, key, &election.Options{Verbatim: true, Value: "ours"})
		require.NoError(w.t, err)
		var term *election.Term
		return &contender{
			join:  func() (err error) { term, err = e.Campaign(context.Background()); return },
			leave: func() error { return given(term.Resign()) },
			die:   func() { w.revoke(s) },
		}
	},
	"their lock": func(w *bench, key string) *contender {
		s := w.theirs()
		m := concurrency.NewMutex(s, key)
		return &contender{
			join:  func() error { return m.Lock(context.Background()) },
			leave: func() error { return m.Unlock(context.Background()) },
			die:   func() { w.revokeID(s.Lease()) },
		}
	},
	"their election": func(w *bench, key string) *contender {
		s := w.theirs()
		e := concurrency.NewElection(s, key)
		return &contender{
			join:  func() error { return e.Campaign(context.Background(), "theirs") },
			leave: func() error { return e.Resign(context.Background()) },
			die:   func() { w.revokeID(s.Lease()) },
		}
	},
}

// given is what giving a place back may return. On a machine that is short of
// CPU it may go on in the background.
func given(err error) error {
	if errors.Is(err, adapters.ErrUnknown) {
		return nil
	}
	return err
}

func (w *bench) revoke(s *session.Session) {
	w.t.Helper()
	inc, err := s.Current(w.within())
	require.NoError(w.t, err)
	require.NoError(w.t, w.store.Revoke(w.within(), inc.Lease()))
}

func (w *bench) revokeID(id clientv3.LeaseID) {
	w.t.Helper()
	_, err := w.client.Revoke(w.within(), id)
	require.NoError(w.t, err)
}

// enqueue has a contender join and returns when its slot stands below key.
func (w *bench) enqueue(who, key string) *contender {
	w.t.Helper()
	c := kinds[who](w, key)
	c.who, c.done = who, make(chan struct{})
	n := len(w.slots(key))
	go func() {
		defer close(c.done)
		c.err = c.join()
	}()
	w.until(key+"/", who+" in the queue", func(v adapters.View) bool { return len(v.KVs) > n })
	return c
}

func (c *contender) waits() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// gets waits until the contender has its place.
func (w *bench) gets(c *contender) {
	w.t.Helper()
	require.NoError(w.t, w.returns(c), c.who)
}

func (w *bench) returns(c *contender) error {
	w.t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		require.FailNow(w.t, "late", "%s has not returned in %v", c.who, patience)
	}
	return c.err
}

// slots returns the keys below key, the oldest first.
func (w *bench) slots(key string) []string {
	w.t.Helper()
	view, err := w.store.Read(w.within(), key+"/")
	require.NoError(w.t, err)
	return byAge(view)
}

func byAge(view adapters.View) []string {
	kvs := slices.SortedFunc(slices.Values(view.KVs), func(a, b adapters.KV) int { return int(a.Created) - int(b.Created) })
	keys := make([]string, len(kvs))
	for i, kv := range kvs {
		keys[i] = kv.Key
	}
	return keys
}

// until returns the first view of name that is as wanted.
func (w *bench) until(name, what string, is func(adapters.View) bool) adapters.View {
	w.t.Helper()
	var last adapters.View
	for view, err := range w.store.Watch(w.within(), name) {
		require.NoError(w.t, err, "waiting for %s below %q, last %v", what, name, byAge(last))
		if is(view) {
			return view
		}
		last = view
	}
	panic("a watch ends with an error")
}
