// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

// long is a TTL that nothing here ever sees the end of, for tests that are not
// about time: a machine that is short of CPU must not lose them a session.
const long = 20 * time.Second

// A bench is the place of one test: a prefix of its own on a backend.
type bench struct {
	*backend
	t      *testing.T
	prefix string
	store  adapters.Store // of somebody who takes no part
	// leases may have to end before no key is left.
	leases time.Duration
}

var benches atomic.Int64

// newBench also checks, after all sessions have been closed, that they left no
// key (I5).
func newBench(t *testing.T, b *backend) *bench {
	w := &bench{backend: b, t: t, prefix: fmt.Sprint("bench-", benches.Add(1)), store: b.open(t)}
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		view, err := w.store.Read(ctx, w.prefix+"/")
		if w.leases > 0 {
			view = w.until(w.prefix+"/", "no key", func(v adapters.View) bool { return len(v.KVs) == 0 })
		}
		assert.NoError(t, err)
		assert.Empty(t, view.KVs, "keys are left after everybody has closed")
	})
	return w
}

// session opens a session on a client of its own and closes it at the end.
func (w *bench) session(o session.Options) *session.Session {
	w.t.Helper()
	return w.sessionOn(w.open(w.t), o)
}

func (w *bench) sessionOn(store adapters.Store, o session.Options) *session.Session {
	w.t.Helper()
	o.Prefix = w.prefix
	if o.TTL == 0 {
		o.TTL = long
	}
	s, err := session.Open(within(w.t, patience), store, &o)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { assert.NoError(w.t, s.Close()) })
	return s
}

func (w *bench) sessions(n int) []*session.Session {
	all := make([]*session.Session, n)
	for i := range all {
		all[i] = w.session(session.Options{})
	}
	return all
}

func (w *bench) mutex(s *session.Session, name string) *mutex.Mutex {
	w.t.Helper()
	m, err := mutex.New(s, name, nil)
	require.NoError(w.t, err)
	return m
}

func (w *bench) election(s *session.Session, name, value string) *election.Election {
	w.t.Helper()
	e, err := election.New(s, name, &election.Options{Value: value})
	require.NoError(w.t, err)
	return e
}

// gave checks what giving a place back returned. On a machine that is short of
// CPU it may be that it goes on in the background; what comes next shows it.
func (w *bench) gave(err error) {
	w.t.Helper()
	if err != nil {
		require.ErrorIs(w.t, err, adapters.ErrUnknown)
		unconfirmed.Add(1)
		return
	}
	confirmed.Add(1)
}

// confirmed and unconfirmed count what gave has seen.
var confirmed, unconfirmed atomic.Int64

// lock locks at once, or soon.
func (w *bench) lock(s *session.Session, name string) *mutex.Hold {
	w.t.Helper()
	h, err := w.mutex(s, name).Lock(within(w.t, patience))
	require.NoError(w.t, err)
	return h
}

// locks and terms are where the slots of a name are.
func (w *bench) locks(name string) string { return w.prefix + "/mutex/" + name + "/" }
func (w *bench) terms(name string) string { return w.prefix + "/election/" + name + "/" }

// slots returns the keys in dir, the oldest first.
func (w *bench) slots(dir string) []string {
	w.t.Helper()
	view, err := w.store.Read(within(w.t, patience), dir)
	require.NoError(w.t, err)
	return byAge(view)
}

// left waits until exactly n slots are left in dir.
func (w *bench) left(dir string, n int) {
	w.t.Helper()
	w.until(dir, fmt.Sprint(n, " slots"), func(v adapters.View) bool { return len(v.KVs) == n })
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
	for view, err := range w.store.Watch(within(w.t, patience), name) {
		require.NoError(w.t, err, "waiting for %s below %q, last %v", what, name, byAge(last))
		if is(view) {
			return view
		}
		last = view
	}
	panic("a watch ends with an error")
}

// A waiter is somebody who queues for a place, in a goroutine of its own.
type waiter[T any] struct {
	key   string        // of its slot
	done  chan struct{} // closed when it has returned
	place T             // valid after done, as is err
	err   error
}

// enqueue calls join and returns when its slot stands in dir.
func enqueue[T any](w *bench, dir string, join func() (T, error)) *waiter[T] {
	w.t.Helper()
	before := w.slots(dir)
	a := &waiter[T]{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.place, a.err = join()
	}()
	view := w.until(dir, "one more slot", func(v adapters.View) bool { return len(v.KVs) > len(before) })
	keys := byAge(view)
	a.key = keys[len(keys)-1]
	require.NotContains(w.t, before, a.key)
	return a
}

func (w *bench) queue(s *session.Session, name string) *waiter[*mutex.Hold] {
	w.t.Helper()
	return w.queueIn(context.Background(), s, name)
}

func (w *bench) queueIn(ctx context.Context, s *session.Session, name string) *waiter[*mutex.Hold] {
	w.t.Helper()
	m := w.mutex(s, name)
	return enqueue(w, w.locks(name), func() (*mutex.Hold, error) { return m.Lock(ctx) })
}

// gets waits until the waiter has its place.
func (a *waiter[T]) gets(t testing.TB) T {
	t.Helper()
	a.returns(t)
	require.NoError(t, a.err)
	return a.place
}

// returns waits until the waiter has returned, and returns its error.
func (a *waiter[T]) returns(t testing.TB) error {
	t.Helper()
	closes(t, a.done, "the waiter's return")
	return a.err
}

func (a *waiter[T]) waits() bool {
	select {
	case <-a.done:
		return false
	default:
		return true
	}
}

// closes waits for a channel to be closed.
func closes(t testing.TB, ch <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		require.FailNow(t, "late", "%s has not come in %v", what, patience)
	}
}

// looksAt returns a channel that is closed when the client begins to watch name.
func looksAt(f *adaptertest.Faults, name string) <-chan struct{} {
	ch := make(chan struct{})
	var seen atomic.Bool
	f.Inject(func(c adaptertest.Call) bool {
		if c.Method == "Watch" && c.Name == name && seen.CompareAndSwap(false, true) {
			close(ch)
		}
		return false
	}, adaptertest.Fault{})
	return ch
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func current(t testing.TB, s *session.Session) *session.Incarnation {
	t.Helper()
	inc, err := s.Current(within(t, patience))
	require.NoError(t, err)
	return inc
}

// revoke ends the lease of a session behind its back.
func (w *bench) revoke(s *session.Session) *session.Incarnation {
	w.t.Helper()
	inc := current(w.t, s)
	require.NoError(w.t, w.store.Revoke(within(w.t, patience), inc.Lease()))
	return inc
}
