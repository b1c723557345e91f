// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/quorate/quorate/adapters"
)

// call takes one call to the store and back. It is a function, not a method,
// since methods have no type parameters.
func call[T any](f *Faults, ctx context.Context, c Call, send func(context.Context) (T, error)) (T, error) {
	var none T
	if ctx.Err() != nil {
		return none, fmt.Errorf("faults: %s: %w", c.Method, context.Cause(ctx))
	}
	fault := f.meet(c)
	// fail is how a call ends whose answer will not come.
	fail := func(why error) (T, error) {
		if c.Method == "Commit" {
			why = errors.Join(adapters.ErrUnknown, why)
		}
		return none, fmt.Errorf("faults: %s: %w", c.Method, why)
	}

	// there is the way to the store; ctx is the request's, not the caller's.
	there := func(ctx context.Context) (answer T, sent bool, err error) {
		if !wait(ctx, fault.Before) {
			return none, false, context.Cause(ctx)
		}
		if fault.Err != nil {
			return none, true, fault.Err
		}
		if requests, _, _ := f.cut(); requests {
			return none, false, nil
		}
		answer, err = send(ctx)
		return answer, true, err
	}
	var (
		answer T
		sent   bool
		err    error
	)
	if !fault.Late {
		answer, sent, err = there(ctx)
	} else {
		done := make(chan struct{})
		f.underWay(+1)
		go func() {
			defer f.underWay(-1)
			defer close(done)
			answer, sent, err = there(context.WithoutCancel(ctx))
		}()
		select {
		case <-done:
		case <-ctx.Done():
			return fail(context.Cause(ctx))
		}
	}
	if !sent { // dropped on the way: nobody will ever answer
		<-ctx.Done()
		return fail(context.Cause(ctx))
	}
	if fault.Err != nil || errors.Is(err, adapters.ErrInvalid) {
		return none, err // not from the other side of the network
	}
	if !wait(ctx, fault.After) {
		return fail(context.Cause(ctx))
	}
	if _, answers, _ := f.cut(); answers {
		<-ctx.Done()
		return fail(context.Cause(ctx))
	}
	if fault.Lose {
		return fail(ErrLost)
	}
	return answer, err
}

// Watch watches through the faults.
func (f *Faults) Watch(ctx context.Context, name string) iter.Seq2[adapters.View, error] {
	return func(yield func(adapters.View, error) bool) {
		fail := func() { yield(adapters.View{}, fmt.Errorf("faults: watch %q: %w", name, context.Cause(ctx))) }
		if ctx.Err() != nil {
			fail()
			return
		}
		fault := f.meet(Call{Method: "Watch", Name: name})
		if !wait(ctx, fault.Before) {
			fail()
			return
		}
		if fault.Err != nil {
			yield(adapters.View{}, fault.Err)
			return
		}
		var last adapters.View
		for first := true; ; {
			if !f.whole(ctx) {
				fail()
				return
			}
			// A state that meets a cut is lost, and the watch started anew when
			// the cut is mended: so the newest state comes through, and what
			// was true before the cut does not come through after it.
			lost := false
			for view, err := range f.store.Watch(ctx, name) {
				if err != nil {
					if !f.whole(ctx) { // a cut hides the failure too
						fail()
						return
					}
					yield(adapters.View{}, err)
					return
				}
				if !wait(ctx, fault.After) {
					fail()
					return
				}
				if _, _, healed := f.cut(); healed != nil {
					lost = true
					break
				}
				if !first && equalStates(last, view) {
					continue
				}
				if !yield(view, nil) {
					return
				}
				first, last = false, view
			}
			if !lost {
				return
			}
		}
	}
}

// whole waits for the end of a partition, if there is one; false means that
// the context ended first.
func (f *Faults) whole(ctx context.Context) bool {
	for {
		_, _, healed := f.cut()
		if healed == nil {
			return ctx.Err() == nil
		}
		select {
		case <-healed:
		case <-ctx.Done():
			return false
		}
	}
}

// wait lets d pass; false means that the context ended first.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *Faults) underWay(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.late += n; f.late == 0 {
		f.idle.Broadcast()
	}
}
