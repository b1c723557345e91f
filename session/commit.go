// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/quorate/quorate/adapters"
)

// Commit applies tx if its conditions hold and the session key is unchanged
// since the incarnation's current fence (rule R2), and settles what is unknown.
//
// A write that timed out may reach the store after a linearizable read has
// said that it is not there. The fence makes such a write harmless: to settle
// an unknown outcome, the session key is rewritten first, which kills every
// attempt still on its way; only then the store is asked what is there.
//
// The answer is exact: nil, adapters.ErrConflict and other definite errors
// mean what they say, and the reason of the incarnation's end means that tx is
// not applied or hangs on a lease that is over. Only when ctx ended in the
// middle the error is adapters.ErrUnknown; the caller then names what it may
// have created to [Incarnation.Remove].
//
// A Tx that creates, changes or deletes may be given; what decides whether it
// was applied is its first write, so that must leave a trace: values that
// differ from what they replace, keys that nobody else deletes.
func (inc *Incarnation) Commit(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	conds := tx.If
	pause := newBackOff(inc.ttl)
	for {
		if err := inc.Check(); err != nil {
			return adapters.Result{}, err
		}
		fence := inc.currentFence()
		tx.If = append([]adapters.Cond{adapters.Unchanged(inc.key, fence)}, conds...)
		res, err := inc.attempt(ctx, tx)
		switch {
		case err == nil:
			return res, nil
		case errors.Is(err, adapters.ErrConflict):
			// Was it only the fence? A settlement may be under way.
			if werr := inc.awaitSettled(ctx); werr != nil {
				return adapters.Result{}, werr
			}
			if inc.currentFence() == fence {
				return adapters.Result{}, err
			}
		case errors.Is(err, adapters.ErrLeaseLost):
			inc.end(adapters.ErrLeaseLost)
			return adapters.Result{}, context.Cause(inc.life)
		case errors.Is(err, adapters.ErrUnknown) && len(tx.Then) > 0:
			if inc.s.opts.plant.noSettle {
				return adapters.Result{}, err
			}
			res, landed, serr := inc.settleTx(ctx, tx, fence)
			if serr != nil {
				return adapters.Result{}, fmt.Errorf("%w: %w", err, serr)
			}
			if landed {
				return res, nil
			}
			inc.passHung(ctx)
		default:
			// Nothing was written and nothing will be, so a backend that does
			// not answer now can be asked again.
			if cause := context.Cause(inc.life); cause != nil {
				return adapters.Result{}, cause
			}
			if ctx.Err() != nil || final(err) {
				return adapters.Result{}, err
			}
			if cause := sleep(ctx, pause.NextBackOff()); cause != nil {
				return adapters.Result{}, fmt.Errorf("%w: %w", cause, err)
			}
		}
	}
}

// attempt is one call with a deadline of its own, so that a hung server costs
// a part of the lease and not all of it.
func (inc *Incarnation) attempt(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	ctx, done := inc.bounded(ctx)
	defer done()
	return inc.s.store.Commit(ctx, tx)
}

// passHung is called when a call got no answer, and the next one should not meet
// the same server. Clients take turns with the servers; if one of them hangs,
// what follows on a call that was answered, on a client of two servers, meets
// that one again, each time. So calls that nobody needs are made until one is
// not answered soon: that one has taken the turn of the server that hangs. They
// are renewals, because those an adapter does not try again by itself.
func (inc *Incarnation) passHung(ctx context.Context) {
	const servers = 3 // more of them are seldom, and each try shifts the turns
	if why := inc.trouble.Load(); why != nil && errors.Is(*why, errUnhealthy) {
		return // a program that is not fit to hold anything is not to be renewed
	}
	soon := inc.s.callTimeout(inc.ttl) / 10
	for range servers {
		ctx, cancel := context.WithTimeout(ctx, soon)
		stop := context.AfterFunc(inc.life, cancel)
		_, err := inc.s.store.Renew(ctx, inc.lease)
		stop()
		cancel()
		if err != nil {
			return
		}
	}
}

// bounded limits ctx to one call's deadline and to the incarnation's life.
func (inc *Incarnation) bounded(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(ctx, inc.s.callTimeout(inc.ttl))
	stop := context.AfterFunc(inc.life, cancel)
	return ctx, func() { stop(); cancel() }
}

func (inc *Incarnation) currentFence() adapters.Rev {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	return inc.fence
}

// settleTx finds out whether tx, sent under fence with an unknown outcome, was
// applied.
func (inc *Incarnation) settleTx(ctx context.Context, tx adapters.Tx, fence adapters.Rev) (adapters.Result, bool, error) {
	inc.settle(fence)
	if err := inc.awaitSettled(ctx); err != nil {
		return adapters.Result{}, false, err
	}
	inc.passHung(ctx)
	op := tx.Then[0]
	view, err := inc.read(ctx, op.Key)
	if err != nil {
		return adapters.Result{}, false, err
	}
	kv, there := view.Get(op.Key)
	if op.Kind == adapters.OpDelete {
		// A key that has left the lease that it had to hang on was deleted, and
		// somebody else has made it again.
		again := slices.ContainsFunc(tx.If, func(c adapters.Cond) bool {
			return c.Key == op.Key && c.Kind == adapters.CondHeldBy && c.Lease != kv.Lease
		})
		if there && !again {
			return adapters.Result{}, false, nil
		}
	} else if !there || !bytes.Equal(kv.Value, op.Value) || (op.Kind == adapters.OpPutLeased && kv.Lease != op.Lease) {
		return adapters.Result{}, false, nil
	}
	res := adapters.Result{Rev: kv.Mod}
	for _, name := range tx.Reads {
		view, err := inc.read(ctx, name)
		if err != nil {
			return adapters.Result{}, false, err
		}
		res.Views = append(res.Views, view)
	}
	return res, true, nil
}

// read reads until it gets an answer or ctx or the incarnation ends.
func (inc *Incarnation) read(ctx context.Context, name string) (adapters.View, error) {
	var view adapters.View
	err := inc.s.retry(ctx, inc.life, func() error {
		ctx, done := inc.bounded(ctx)
		defer done()
		var err error
		view, err = inc.s.store.Read(ctx, name)
		return err
	})
	return view, err
}

// Read returns a linearizable view of name, trying again while the backend
// does not answer, until ctx or the incarnation ends.
func (inc *Incarnation) Read(ctx context.Context, name string) (adapters.View, error) {
	return inc.read(ctx, name)
}

// settle starts to rewrite the session key, unless that has happened since
// fence or is under way. It goes on after whoever asked for it has given up:
// an attempt to rewrite can have an unknown outcome too.
func (inc *Incarnation) settle(fence adapters.Rev) {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	if inc.fence != fence || inc.settling != nil {
		return
	}
	done := make(chan struct{})
	inc.settling = done
	spawned := inc.s.spawn(func() {
		mod, err := inc.rewrite(fence)
		inc.mu.Lock()
		if err == nil {
			inc.fence = mod
		}
		inc.settling = nil
		inc.mu.Unlock()
		close(done)
	})
	if !spawned {
		inc.settling = nil // the session is over, so every create of it fails
	}
}

// rewrite writes the session key anew and returns its Mod, which differs from
// fence. It returns an error only when the incarnation is over.
func (inc *Incarnation) rewrite(fence adapters.Rev) (mod adapters.Rev, err error) {
	tx := adapters.Tx{
		If:   []adapters.Cond{adapters.Unchanged(inc.key, fence)},
		Then: []adapters.Op{adapters.PutKeep(inc.key, inc.record())},
	}
	err = inc.s.retry(inc.life, inc.life, func() error {
		res, err := inc.attempt(inc.life, tx)
		if err == nil {
			mod = res.Rev
			return nil
		}
		if !errors.Is(err, adapters.ErrConflict) {
			return err
		}
		// Nobody else writes the key: an earlier try of ours was applied.
		view, err := inc.read(inc.life, inc.key)
		if err != nil {
			return err
		}
		kv, there := view.Get(inc.key)
		if !there {
			return adapters.ErrLeaseLost
		}
		mod = kv.Mod
		return nil
	})
	switch {
	case errors.Is(err, adapters.ErrLeaseLost):
		inc.end(errKeyGone)
	case err != nil:
		inc.end(err) // unless it has ended: a right is missing, so nothing can be settled
	}
	return mod, err
}

// awaitSettled waits for the settlement under way, if any.
func (inc *Incarnation) awaitSettled(ctx context.Context) error {
	inc.mu.Lock()
	settling := inc.settling
	inc.mu.Unlock()
	if settling != nil {
		select {
		case <-settling:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-inc.life.Done():
		}
	}
	return context.Cause(inc.life)
}

// Verify is for a caller whose Commit conflicted although none of its own
// conditions can have failed: it makes sure that the session key is there, and
// has a new fence if somebody else has written it, or declares the session lost.
func (inc *Incarnation) Verify(ctx context.Context) error {
	view, err := inc.read(ctx, inc.key)
	if err != nil {
		return err
	}
	kv, there := view.Get(inc.key)
	if !there || kv.Lease != inc.lease {
		inc.end(errKeyGone)
		return context.Cause(inc.life)
	}
	// Taking its Mod over would revive what was sent under it: an adapter may have
	// rewritten the key, so that the old fence stands for the new Mod.
	if fence := inc.currentFence(); kv.Mod != fence {
		inc.settle(fence)
		return inc.awaitSettled(ctx)
	}
	return nil
}
