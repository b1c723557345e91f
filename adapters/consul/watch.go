// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
)

const (
	// Pauses between tries of a watch that failed.
	minPause = 10 * time.Millisecond
	maxPause = 500 * time.Millisecond

	// pollWait is how long a blocking query waits for a change. Consul adds up
	// to a sixteenth of it.
	pollWait = time.Minute

	// idlePause is the longest pause between blocking queries that return
	// without a change.
	idlePause = 100 * time.Millisecond

	// quietFor is how long a subtree without keys is left in peace after it was
	// quieted. Consul forgets what was deleted after a quarter of an hour.
	quietFor = 5 * time.Minute
)

// Watch yields the state of name and then each newer one.
func (s *Store) Watch(ctx context.Context, name string) iter.Seq2[adapters.View, error] {
	return func(yield func(adapters.View, error) bool) {
		fail := func(err error) { yield(adapters.View{}, fmt.Errorf("consul: watch %q: %w", name, err)) }
		if err := checkName(name); err != nil {
			fail(err)
			return
		}
		if ctx.Err() != nil {
			fail(context.Cause(ctx))
			return
		}
		s.join()
		defer s.leave()
		w := &watch{store: s, name: name, yield: yield}
		select {
		case s.polls <- struct{}{}:
			defer func() { <-s.polls }()
			if err := w.alone(ctx); err != nil {
				fail(err)
			}
		default:
			if err := w.shared(ctx); err != nil {
				fail(err)
			}
		}
	}
}

// A watch is one run of Watch, over as many queries as it takes.
type watch struct {
	store  *Store
	name   string
	yield  func(adapters.View, error) bool
	broken bool // the reader has left
	shown  bool // at least one view was yielded
	last   adapters.View

	quieted time.Time // when the subtree, which is empty, was quieted
}

// show yields view if it differs from the last one. It reports whether it did,
// and sets broken if the reader leaves.
func (w *watch) show(view adapters.View) bool {
	if w.shown && same(w.last, view) {
		return false
	}
	w.shown, w.last = true, view
	w.broken = !w.yield(view, nil)
	return true
}

// alone follows name with blocking queries of its own, in the reader's
// goroutine, until the reader leaves: nil; or with the reason for its end.
func (w *watch) alone(ctx context.Context) error {
	failures, idle := newPause(maxPause), newPause(idlePause)
	patience := w.store.patience
	var index uint64 // 0 means: answer at once
	for {
		asked := time.Now()
		view, next, err := w.query(ctx, index, patience)
		var pause time.Duration
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, adapters.ErrDenied):
			return err
		case err != nil:
			index = 0
			pause = failures.NextBackOff()
			if time.Since(asked) > maxPause || errors.Is(err, errMoved) {
				failures.Reset()
				pause = 0 // it has waited enough
				patience = min(2*patience, maxTry)
			}
		default:
			failures.Reset()
			patience = w.store.patience
			waited := index != 0
			index = next
			if w.show(view) {
				idle.Reset()
			} else if waited && time.Since(asked) < pollWait {
				pause = w.idle(ctx, idle, view)
			}
		}
		if w.broken {
			return nil
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// idle says how long to wait after a blocking query that returned without a
// change. Where there is no key Consul has no index for the name and takes the
// whole store's, so each write to any key ends the query. A subtree of which
// something was deleted lately has an index, so one that has nothing gets that.
func (w *watch) idle(ctx context.Context, idle *backoff.ExponentialBackOff, view adapters.View) time.Duration {
	if !isDir(w.name) || len(view.KVs) > 0 || time.Since(w.quieted) < quietFor {
		return idle.NextBackOff()
	}
	w.quieted = time.Now()
	key := fence(w.name)
	ctx, cancel := context.WithTimeout(ctx, w.store.patience)
	defer cancel()
	_ = w.store.once(ctx, true, func(ctx context.Context, c *api.Client) error {
		// Without the right to do that there are the pauses.
		_, err := send(ctx, c, api.TxnOps{
			{KV: &api.KVTxnOp{Verb: api.KVSet, Key: key}},
			{KV: &api.KVTxnOp{Verb: api.KVDelete, Key: key}},
		}, true)
		return err
	})
	return 0
}

// query reads name once the store's index for it is beyond index, and returns
// the index of what it read. Index 0 means at once.
func (w *watch) query(ctx context.Context, index uint64, patience time.Duration) (adapters.View, uint64, error) {
	wait := time.Duration(0)
	if index != 0 {
		wait = pollWait
	}
	var pairs api.KVPairs
	var meta *api.QueryMeta
	err := w.store.poll(ctx, wait, patience, func(ctx context.Context, c *api.Client) error {
		q := consistent(ctx)
		q.WaitIndex, q.WaitTime = index, wait
		var err error
		if isDir(w.name) {
			pairs, meta, err = c.KV().List(stored(w.name), q)
			return err
		}
		var pair *api.KVPair
		if pair, meta, err = c.KV().Get(stored(w.name), q); pair != nil {
			pairs = api.KVPairs{pair}
		}
		return err
	})
	if err != nil {
		return adapters.View{}, 0, err
	}
	view := viewOf(w.name, pairs)
	emptied := len(pairs) == 0 && (!w.shown || len(w.last.KVs) > 0)
	if isDir(w.name) && (meta.ResultsFilteredByACLs || emptied) || meta.LastIndex == 0 && len(pairs) == 0 {
		// Nothing there, or nothing that the token may see, or somebody before
		// Consul who knows nothing of it? A Read can tell.
		ctx, stop := w.store.untilMove(ctx)
		defer stop()
		if view, err = w.store.Read(ctx, w.name); err != nil {
			return adapters.View{}, 0, err
		}
	}
	next := max(meta.LastIndex, 1)
	if next < index {
		next = 0 // the index was reset, so what comes is read anew
	}
	return view, next, nil
}

// poll makes a query that the server may keep for wait. It takes no slot of the
// calls, and ends with errMoved when watches have to look for another server.
func (s *Store) poll(ctx context.Context, wait, patience time.Duration, query func(context.Context, *api.Client) error) error {
	tctx, stop := context.WithTimeoutCause(ctx, wait+wait/16+patience, errMoved)
	defer stop()
	qctx, end := s.untilMove(tctx)
	defer end()
	i := s.using.Load()
	err := query(qctx, s.clients[i])
	if err == nil {
		return nil
	}
	if ctx.Err() == nil && linkFailed(err) && !errors.Is(context.Cause(qctx), errMoved) {
		s.moveOn(i, err)
	}
	return explain(qctx, err, false)
}

// untilMove returns a context that ends with errMoved when watches have to look
// for another server.
func (s *Store) untilMove(ctx context.Context) (context.Context, func()) {
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.present(), func() { end(errMoved) })
	return ctx, func() { stop(); end(nil) }
}

// errMoved ends a query whose server does not answer, or is not the leader's.
var errMoved = errors.New("no answer in time")

func newPause(most time.Duration) *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(minPause),
		backoff.WithMultiplier(2),
		backoff.WithMaxInterval(most),
		backoff.WithMaxElapsedTime(0),
	)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
