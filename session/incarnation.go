// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/adapters"
)

// An Incarnation is one life of a session's lease. Primitives hang what they
// hold on it: nothing carries over from one incarnation to the next.
type Incarnation struct {
	s     *Session
	id    string
	lease adapters.LeaseID
	ttl   time.Duration // as granted
	key   string        // the session key; its Mod is the fence
	inbox string
	info  Info
	win   window

	// work ends when everything has to stop: at a loss, or when the session
	// is being closed. life ends when the lease is no longer ours: at a loss,
	// or when closing is done. Between the two, work winds down and renewals
	// go on, because a place is released only when its work has returned.
	work, life       context.Context
	endWork, endLife context.CancelCauseFunc

	trouble  atomic.Pointer[error] // why the last renewal failed; nil if it did not
	reason   atomic.Pointer[error] // of the end; nil before
	suffixes atomic.Uint64
	cleanups sync.WaitGroup // keys being deleted in the background

	mu       sync.Mutex         // protects what follows
	fence    adapters.Rev       // Mod of the session key
	settling chan struct{}      // closed when the settlement under way is done; nil if none
	holds    map[*Work]struct{} // what has not returned yet
	keys     map[string]bool    // given out by NewKey and not known to be gone; only on an adopted lease
	idle     chan struct{}      // closed when holds became empty; nil unless awaited
}

// Context ends when the session is lost or closed, with the reason as its
// cause: ErrLost or ErrClosed.
func (inc *Incarnation) Context() context.Context { return inc.work }

// Check returns nil while the lease is trusted. It looks at the clock, so it
// is right at once after a pause, before any timer has fired. While the
// session is closing and work winds down it is still nil: nobody else can have
// the place before that work has returned.
func (inc *Incarnation) Check() error {
	if inc.win.trusted() {
		return nil
	}
	if cause := context.Cause(inc.life); cause != nil {
		return cause
	}
	return inc.lost(inc.windowError())
}

// windowError says that the window has closed, and why if that is known.
func (inc *Incarnation) windowError() error {
	if reason := inc.reason.Load(); reason != nil {
		return *reason // somebody has just closed it
	}
	if why := inc.trouble.Load(); why != nil {
		return fmt.Errorf("%w: %w", errWindow, *why)
	}
	return errWindow
}

// Left returns for how long the lease is trusted without another renewal.
func (inc *Incarnation) Left() time.Duration { return inc.win.left() }

// TTL is that of the lease as it was granted, which may be more than asked for.
func (inc *Incarnation) TTL() time.Duration { return inc.ttl }

// ID is unique among all incarnations of all sessions.
func (inc *Incarnation) ID() string { return inc.id }

// Lease is the lease that all keys of the incarnation hang on.
func (inc *Incarnation) Lease() adapters.LeaseID { return inc.lease }

// Session returns the session that inc is a life of.
func (inc *Incarnation) Session() *Session { return inc.s }

// NewKey returns a key in dir, which ends in a slash, that nobody has used or
// will use.
func (inc *Incarnation) NewKey(dir string) string {
	key := dir + inc.suffix()
	inc.Own(key)
	return key
}

// Own takes note of a key that is going to hang on the lease and is not from
// NewKey. On an adopted lease, which may live on without us, it is known by
// that what has to go.
func (inc *Incarnation) Own(key string) {
	if inc.s.opts.Lease != "" {
		inc.mu.Lock()
		defer inc.mu.Unlock()
		inc.keys[key] = true
	}
}

func (inc *Incarnation) suffix() string {
	return inc.id + "-" + strconv.FormatUint(inc.suffixes.Add(1), 10)
}

func (inc *Incarnation) forget(key string) {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	delete(inc.keys, key)
}

func (inc *Incarnation) lost(reason error) error {
	return fmt.Errorf("session %s: %w: %w", inc.id, ErrLost, reason)
}

// end declares the incarnation lost: trust first, then every context.
func (inc *Incarnation) end(reason error) {
	// Who sees the window closed before the contexts end must not find another
	// reason for it.
	inc.reason.CompareAndSwap(nil, &reason)
	inc.win.shut()
	inc.endLife(inc.lost(*inc.reason.Load())) // ends work too, its child
}

// Work is something that hangs on an incarnation and has to return before the
// session may give its lease back: a held lock, a term, an attempt at one.
type Work struct {
	inc        *Incarnation
	kind, name string
	mu         sync.Mutex // protects what follows
	token      uint64
	since      time.Time
	stuck      bool // has been reported
	lost       bool // has been told
}

// Begin registers work. It fails when the incarnation is over or closing.
func (inc *Incarnation) Begin(kind, name string) (*Work, error) {
	w := &Work{inc: inc, kind: kind, name: name, since: time.Now()}
	inc.mu.Lock()
	defer inc.mu.Unlock()
	if err := context.Cause(inc.work); err != nil {
		return nil, err
	}
	inc.holds[w] = struct{}{}
	return w, nil
}

// Waiting tells the observer that the work has to queue.
func (w *Work) Waiting() { w.inc.s.notify.place(w.inc.s.notify.obs.Wait, w.place(nil)) }

// Acquired tells the observer that the work now holds its place under token.
func (w *Work) Acquired(token uint64) {
	p := w.place(nil)
	w.mu.Lock()
	w.token, w.since = token, time.Now()
	w.mu.Unlock()
	p.Token = token
	w.inc.s.notify.place(w.inc.s.notify.obs.Acquire, p)
}

// Done says that the work has returned. Calling it again does nothing.
func (w *Work) Done() {
	inc := w.inc
	inc.mu.Lock()
	_, ours := inc.holds[w]
	delete(inc.holds, w)
	if inc.idle != nil && len(inc.holds) == 0 {
		close(inc.idle)
		inc.idle = nil
	}
	inc.mu.Unlock()
	p := w.place(nil)
	if !ours || p.Token == 0 {
		return
	}
	if err := inc.Check(); err != nil {
		w.lose(err)
		return
	}
	inc.s.notify.place(inc.s.notify.obs.Release, p)
}

// lose tells the observer, once, that the place was lost: the session knows it,
// or the work returns, whichever comes first.
func (w *Work) lose(cause error) {
	w.mu.Lock()
	again := w.lost
	w.lost = true
	w.mu.Unlock()
	if p := w.place(cause); !again && p.Token != 0 {
		w.inc.s.notify.place(w.inc.s.notify.obs.Lose, p)
	}
}

// Stuck reports, once, that the work has not returned although it was told to
// for that reason.
func (w *Work) Stuck(cause error) {
	w.mu.Lock()
	again := w.stuck
	w.stuck = true
	w.mu.Unlock()
	if again {
		return
	}
	s, p := w.inc.s, w.place(cause)
	s.log.Warn("work has not returned", "session", p.Session, "kind", p.Kind, "name", p.Name, "token", p.Token, "cause", cause)
	s.notify.place(s.notify.obs.Stuck, p)
}

func (w *Work) place(cause error) Place {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Place{Session: w.inc.id, Kind: w.kind, Name: w.name, Token: w.token, Took: time.Since(w.since), Cause: cause}
}

// idleC returns a channel that is closed once no work is left.
func (inc *Incarnation) idleC() <-chan struct{} {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	if len(inc.holds) == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	if inc.idle == nil {
		inc.idle = make(chan struct{})
	}
	return inc.idle
}

// outstanding lists the work that has not returned, those with a token first.
func (inc *Incarnation) outstanding() []*Work {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	ws := make([]*Work, 0, len(inc.holds))
	for w := range inc.holds {
		ws = append(ws, w)
	}
	slices.SortFunc(ws, func(a, b *Work) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
	})
	return ws
}

func (inc *Incarnation) reportStuck() {
	for _, w := range inc.outstanding() {
		w.Stuck(context.Cause(inc.work))
	}
}

func (inc *Incarnation) stuckError() error {
	var what []error
	for i, w := range inc.outstanding() {
		if i == 5 {
			what = append(what, errors.New("and others"))
			break
		}
		what = append(what, fmt.Errorf("%s %q", w.kind, w.name))
	}
	return fmt.Errorf("session %s: close: %w: %w", inc.id, ErrStuck, errors.Join(what...))
}

// stopWork tells all work to wind down because the session is being closed.
func (inc *Incarnation) stopWork() {
	// Under the lock, so that Begin either sees it or is waited for.
	inc.mu.Lock()
	defer inc.mu.Unlock()
	inc.endWork(inc.closedErr())
}

func (inc *Incarnation) closedErr() error { return fmt.Errorf("session %s: %w", inc.id, ErrClosed) }
