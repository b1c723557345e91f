// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/adapters"
)

// ErrLost is the error of a call other than Commit whose answer was lost. A
// Commit joins it with adapters.ErrUnknown.
var ErrLost = errors.New("answer lost")

// Call is a call that reached a Faults with its context not yet over.
type Call struct {
	Method string           // "Read", "Watch", "Commit", "Grant", "Renew" or "Revoke"
	Name   string           // of Read and Watch
	Tx     adapters.Tx      // of Commit
	Lease  adapters.LeaseID // of Renew and Revoke
	N      int              // 1 for the first call of this Method, and so on
}

// A Fault is what happens to a call. Its fields combine; the zero Fault does
// nothing. A Watch knows only Before, After and Err: its start is delayed by
// Before, each of its states by After, and Err ends it before its first state.
type Fault struct {
	// Before is how long the request takes to reach the store.
	Before time.Duration
	// Late lets the request reach the store even if the caller gives up while
	// it is under way: it is then applied late, behind the caller's back.
	// Without Late such a request is dropped.
	Late bool
	// Err is returned instead of calling the store; nothing is applied.
	Err error
	// After is how long the answer takes to reach the caller.
	After time.Duration
	// Lose drops the answer once the request was applied: at the end of After
	// a Commit fails with ErrUnknown, any other call with ErrLost alone.
	Lose bool
	// Times is how many calls meet this fault; 0 means all of them.
	Times int
}

// Faults is a Store whose network misbehaves as told. Without faults it adds
// nothing. It works in real time and, made inside a testing/synctest bubble
// around a store that does too, in virtual time.
//
// A Commit that fails here because its context ended fails with ErrUnknown
// joined with the context's cause: its caller cannot know how far it came.
type Faults struct {
	store adapters.Store

	mu       sync.Mutex // protects all below
	idle     sync.Cond  // signalled when late is 0
	late     int        // requests under way that their callers may have given up
	calls    map[string]int
	injected []*injection
	requests bool // that do not get through
	answers  bool
	healed   chan struct{} // closed when neither is cut any more; nil if none is
}

type injection struct {
	when  func(Call) bool
	fault Fault
	left  int
}

var _ adapters.Store = (*Faults)(nil)

// Wrap puts a Faults around s. More than one may be put around one Store: each
// is then the network of one client.
func Wrap(s adapters.Store) *Faults {
	f := &Faults{store: s, calls: make(map[string]int)}
	f.idle.L = &f.mu
	return f
}

// Inject lets f happen to the calls for which when is true, or to all if it is
// nil, until remove is called. Of several injections that want a call the first
// one gets it. when must not call the Faults.
func (f *Faults) Inject(when func(Call) bool, fault Fault) (remove func()) {
	in := &injection{when: when, fault: fault, left: fault.Times}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.injected = append(f.injected, in)
	return func() { f.remove(in) }
}

func (f *Faults) remove(in *injection) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.injected, in); i >= 0 {
		f.injected = slices.Delete(f.injected, i, i+1)
	}
}

// Partition cuts the way to the store, the way back, or both, and mends the way
// that it is told not to cut. It is a black hole: a request that meets it is
// never applied, an answer never arrives, and the call hangs until its context
// ends, even beyond Heal. Watches fall silent, whichever way is cut; after Heal
// they go on with the newest state.
func (f *Faults) Partition(requests, answers bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests, f.answers = requests, answers
	switch cut := requests || answers; {
	case cut && f.healed == nil:
		f.healed = make(chan struct{})
	case !cut && f.healed != nil:
		close(f.healed)
		f.healed = nil
	}
}

// Heal ends a partition.
func (f *Faults) Heal() { f.Partition(false, false) }

// ExpireLease ends a lease at the store, past all faults, as if it had run out.
func (f *Faults) ExpireLease(ctx context.Context, id adapters.LeaseID) error {
	return f.store.Revoke(ctx, id)
}

// Wait returns when no late request is under way any more.
func (f *Faults) Wait() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.late > 0 {
		f.idle.Wait()
	}
}

// Limits returns the limits of the store beneath.
func (f *Faults) Limits() adapters.Limits { return f.store.Limits() }

// Read reads through the faults.
func (f *Faults) Read(ctx context.Context, name string) (adapters.View, error) {
	return call(f, ctx, Call{Method: "Read", Name: name}, func(ctx context.Context) (adapters.View, error) {
		return f.store.Read(ctx, name)
	})
}

// Commit commits through the faults.
func (f *Faults) Commit(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	if err := tx.Validate(f.store.Limits()); err != nil { // never gets as far as a fault
		return adapters.Result{}, fmt.Errorf("faults: Commit: %w", err)
	}
	return call(f, ctx, Call{Method: "Commit", Tx: tx}, func(ctx context.Context) (adapters.Result, error) {
		return f.store.Commit(ctx, tx)
	})
}

// Grant grants through the faults.
func (f *Faults) Grant(ctx context.Context, ttl time.Duration) (adapters.Lease, error) {
	return call(f, ctx, Call{Method: "Grant"}, func(ctx context.Context) (adapters.Lease, error) {
		return f.store.Grant(ctx, ttl)
	})
}

// Renew renews through the faults.
func (f *Faults) Renew(ctx context.Context, id adapters.LeaseID) (time.Duration, error) {
	return call(f, ctx, Call{Method: "Renew", Lease: id}, func(ctx context.Context) (time.Duration, error) {
		return f.store.Renew(ctx, id)
	})
}

// Revoke revokes through the faults.
func (f *Faults) Revoke(ctx context.Context, id adapters.LeaseID) error {
	_, err := call(f, ctx, Call{Method: "Revoke", Lease: id}, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.store.Revoke(ctx, id)
	})
	return err
}

// meet counts a call and picks its fault.
func (f *Faults) meet(c Call) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[c.Method]++
	c.N = f.calls[c.Method]
	for i, in := range f.injected {
		if in.when != nil && !in.when(c) {
			continue
		}
		if in.left--; in.left == 0 {
			f.injected = slices.Delete(f.injected, i, i+1)
		}
		return in.fault
	}
	return Fault{}
}

func (f *Faults) cut() (requests, answers bool, healed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests, f.answers, f.healed
}
