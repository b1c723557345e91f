// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/quorate/quorate/adapters"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Pauses between tries of a watch that failed.
const (
	minPause = 10 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

// errStreamEnded is why a try ends when its stream was closed under it.
var errStreamEnded = errors.New("watch stream ended")

// Watch yields the state of name and then each newer one.
func (s *Store) Watch(ctx context.Context, name string) iter.Seq2[adapters.View, error] {
	return func(yield func(adapters.View, error) bool) {
		fail := func(err error) { yield(adapters.View{}, fmt.Errorf("etcd: watch %q: %w", name, err)) }
		if err := adapters.CheckName(name, limits); err != nil {
			fail(err)
			return
		}
		if err := s.ready(ctx); err != nil {
			fail(err)
			return
		}
		s.join()
		defer s.leave()

		w := &watch{store: s, name: name, yield: yield}
		pause := backoff.NewExponentialBackOff(
			backoff.WithInitialInterval(minPause),
			backoff.WithMultiplier(2),
			backoff.WithMaxInterval(maxPause),
			backoff.WithMaxElapsedTime(0),
		)
		for {
			began := time.Now()
			err := w.try(ctx)
			switch {
			case w.broken:
				return
			case ctx.Err() != nil:
				fail(context.Cause(ctx))
				return
			case s.client.Ctx().Err() != nil:
				fail(ErrClosed)
				return
			case errors.Is(err, adapters.ErrDenied):
				fail(err)
				return
			}
			if time.Since(began) > maxPause {
				pause.Reset() // it worked for a while: this is a new trouble
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause.NextBackOff()):
			}
		}
	}
}

// A watch is one run of Watch, over as many tries as it takes.
type watch struct {
	store  *Store
	name   string
	yield  func(adapters.View, error) bool
	tried  bool // to open the watch
	broken bool // the reader has left
	shown  bool // at least one view was yielded
	last   adapters.View
}

// try follows name on the current stream until something fails.
//
// It starts to watch from now and reads then, instead of reading and watching
// from the revision read: etcd serves a watch that starts in the past from a
// loop that runs every 100 ms, and refuses it if that past was compacted.
func (w *watch) try(ctx context.Context) error {
	st := w.store.current()
	// The watch does not run in the reader's context but in one with the
	// Store's values only: the client puts watches on one stream only if their
	// contexts carry the same metadata.
	wctx, cancel := context.WithCancel(clientv3.WithRequireLeader(context.Background()))
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()

	// The first time both are asked at once, which saves a waiter one round
	// trip. Not again: where the balancer takes turns between two members, two
	// questions a try would send every new stream to the same one of them.
	var first <-chan answer
	if !w.tried {
		w.tried = true
		rctx, drop := context.WithCancel(ctx)
		defer drop()
		first = w.readAside(rctx)
	}
	events, created, err := w.open(wctx, st)
	if err != nil {
		return w.judge(ctx, st, err)
	}
	// Nothing can be missed: the watch shows what is newer than its creation,
	// and a view that is not older than that shows the rest.
	var r answer
	if first != nil {
		r = <-first
	}
	if first == nil || r.err == nil && int64(r.view.Rev) < created {
		r.view, r.err = w.store.read(ctx, w.name)
	}
	if r.err != nil {
		return r.err
	}
	view := r.view
	base := int64(view.Rev)
	for {
		if !w.show(view) {
			return nil
		}
		changes := make(changes)
		if err := w.gather(wctx, st, events, base, changes); err != nil {
			return w.judge(ctx, st, err)
		}
		view = changes.apply(w.store, view)
	}
}

// show yields view if it differs from the last one, and reports whether the
// reader stays.
func (w *watch) show(view adapters.View) bool {
	if w.shown && same(w.last, view) {
		w.last = view
		return true
	}
	w.shown, w.last = true, view
	w.broken = !w.yield(view, nil)
	return !w.broken
}

type answer struct {
	view adapters.View
	err  error
}

func (w *watch) readAside(ctx context.Context) <-chan answer {
	c := make(chan answer, 1)
	go func() {
		view, err := w.store.read(ctx, w.name)
		c <- answer{view, err}
	}()
	return c
}

// open starts the watch on the stream and waits until the server has it. It
// also returns the revision after which the watch shows everything.
func (w *watch) open(ctx context.Context, st *stream) (clientv3.WatchChan, int64, error) {
	w.store.ask(st, 0)
	st.waiting.Add(1)
	defer st.waiting.Add(-1)
	events := st.watcher.Watch(ctx, w.name, append(span(w.name), clientv3.WithCreatedNotify())...)
	for {
		select {
		case resp, ok := <-events:
			if err := w.failure(st, resp, ok); err != nil {
				return nil, 0, err
			}
			if resp.Created {
				return events, resp.Header.GetRevision(), nil
			}
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// gather waits until something has arrived and takes all that has.
func (w *watch) gather(ctx context.Context, st *stream, events clientv3.WatchChan, base int64, into changes) error {
	st.waiting.Add(1)
	defer st.waiting.Add(-1)
	for len(into) == 0 {
		select {
		case resp, ok := <-events:
			if err := w.failure(st, resp, ok); err != nil {
				return err
			}
			into.add(resp.Events, base)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// The channel holds one response; the client's goroutine behind it, which
	// has the rest, needs a turn to hand over the next.
	for idle := 0; idle < 2; {
		select {
		case resp, ok := <-events:
			if err := w.failure(st, resp, ok); err != nil {
				return err
			}
			into.add(resp.Events, base)
			idle = 0
		default:
			idle++
			runtime.Gosched()
		}
	}
	return nil
}

func (w *watch) failure(st *stream, resp clientv3.WatchResponse, ok bool) error {
	if !ok {
		return errStreamEnded
	}
	if err := resp.Err(); err != nil {
		return watchError(err)
	}
	w.store.hear(st, resp.Header.GetRevision())
	return nil
}

// judge decides what an error of the watch itself means.
func (w *watch) judge(ctx context.Context, st *stream, err error) error {
	if stale(err) {
		// The stream carries the token that it was opened with, for good.
		w.store.replace(st)
	}
	return w.store.explain(ctx, err, false, toRead(w.name))
}
