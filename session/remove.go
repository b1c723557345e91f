// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/adapters"
)

// removeAtOnce is how long Remove itself waits. Half of the second within
// which every call returns after its context has ended.
const removeAtOnce = 500 * time.Millisecond

// Remove deletes a leased key that this incarnation created or may have
// created, whatever is known of it, and returns nil once it cannot be there. A
// key that certainly was created, and has gone without us, is a conflict.
// If the store does not answer at once it returns adapters.ErrUnknown and goes
// on in the background until it is done or the lease has ended, which deletes
// the key too. It does not take a context: what has to go has to go, also when
// the caller's context is over.
//
// After, unless it is nil, is called when nothing is on its way any more. It
// says that the key's name may be used again, under this lease; a deletion that
// is applied late must then find nothing to delete, so it is fenced like a write.
func (inc *Incarnation) Remove(key string, maybe bool, after func()) error {
	attempt, fenced := inc.deleteOwn, after != nil
	if fenced {
		attempt = inc.deleteFenced
	} else {
		after = func() {}
	}
	ctx, cancel := context.WithTimeout(inc.life, removeAtOnce)
	defer cancel()
	if !maybe {
		// Nearly always this is all, so it is done without another goroutine.
		if err := attempt(ctx, key); err == nil || errors.Is(err, adapters.ErrConflict) {
			after()
			return err
		}
	}
	done := make(chan error, 1)
	inc.cleanups.Add(1)
	if !inc.s.spawn(func() {
		defer inc.cleanups.Done()
		defer after()
		// A try that came to nothing may still be on its way: see after.
		done <- inc.remove(key, maybe || fenced, attempt)
	}) {
		inc.cleanups.Done()
		after()
		return context.Cause(inc.life)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		if cause := context.Cause(inc.life); cause != nil {
			return cause
		}
		return fmt.Errorf("%w: deleting %q goes on in the background", adapters.ErrUnknown, key)
	}
}

func (inc *Incarnation) remove(key string, maybe bool, attempt func(context.Context, string) error) error {
	if maybe && !inc.s.opts.plant.noSettle {
		inc.settle(inc.currentFence())
		if err := inc.awaitSettled(inc.life); err != nil {
			return err
		}
	}
	err := inc.s.retry(inc.life, inc.life, func() error { return attempt(inc.life, key) })
	if errors.Is(err, adapters.ErrConflict) {
		return nil // it is gone, and an earlier try may have done it
	}
	if err != nil {
		// A right is missing, unless the incarnation has ended. The key must not
		// be left behind a live session, so it goes with the lease.
		inc.end(err)
	}
	return err
}

// deleteOwn tries once to delete a key of ours.
func (inc *Incarnation) deleteOwn(ctx context.Context, key string) error {
	_, err := inc.attempt(ctx, inc.deletion(key))
	if err == nil || errors.Is(err, adapters.ErrConflict) {
		inc.forget(key)
	}
	return err
}

// deleteFenced deletes a key of ours whose name may be used again.
func (inc *Incarnation) deleteFenced(ctx context.Context, key string) error {
	_, err := inc.Commit(ctx, inc.deletion(key))
	if err == nil || errors.Is(err, adapters.ErrConflict) {
		inc.forget(key)
	}
	return err
}

// deletion deletes a key if it is on our lease. A key that was handed to another
// lease stays. Most names are used once, so that a late repeat finds nothing.
func (inc *Incarnation) deletion(key string) adapters.Tx {
	return adapters.Tx{
		If:   []adapters.Cond{adapters.HeldBy(key, inc.lease)},
		Then: []adapters.Op{adapters.Delete(key)},
	}
}
