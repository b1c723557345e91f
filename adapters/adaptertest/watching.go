// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/adapters"
)

// watching is a watch that runs beside the rule. What holds for every watch is
// checked here, on every state of every rule.
type watching struct {
	t      *trial
	name   string
	cancel context.CancelCauseFunc
	events chan event
	seen   bool
	last   adapters.View
	newest map[string]adapters.Rev // the largest Mod shown of each key
}

type event struct {
	view adapters.View
	err  error
	end  bool // the sequence is over
}

// watch starts a watch; it ends with the rule, or with stop.
func (t *trial) watch(name string) *watching {
	ctx, cancel := context.WithCancelCause(t.ctx)
	w := &watching{t: t, name: name, cancel: cancel, events: make(chan event, 4096), newest: make(map[string]adapters.Rev)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		send := func(e event) bool {
			select {
			case w.events <- e:
				return true
			case <-time.After(patience): // nobody reads: the sequence never ends
				return false
			}
		}
		for view, err := range t.store.Watch(ctx, name) {
			if !send(event{view: view, err: err}) {
				return
			}
		}
		send(event{end: true})
	}()
	t.Cleanup(func() {
		cancel(nil)
		select {
		case <-done:
		case <-time.After(prompt):
			t.Logf("the watch of %q did not end with its context", name)
		}
	})
	return w
}

// poll returns the next state if there is one within d.
func (w *watching) poll(d time.Duration) (adapters.View, bool) {
	w.t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	var e event
	select {
	case e = <-w.events:
	case <-timer.C:
		select { // what is there already counts, also with d = 0
		case e = <-w.events:
		default:
			return adapters.View{}, false
		}
	}
	switch {
	case e.end:
		w.t.failf("the watch of %q ended without an error", w.name)
	case e.err != nil:
		w.t.failf("the watch of %q ended: %v", w.name, e.err)
	}
	if wrong := malformed(w.name, e.view); wrong != "" {
		w.t.failf("the watch of %q: %s", w.name, wrong)
	}
	if w.seen && equalStates(w.last, e.view) {
		w.t.failf("the watch of %q yielded a state equal to the one before: %s", w.name, list(e.view))
	}
	for _, kv := range e.view.KVs {
		if kv.Mod < w.newest[kv.Key] {
			w.t.failf("the watch of %q went back: it shows %q with Mod %d after %d", w.name, kv.Key, kv.Mod, w.newest[kv.Key])
		}
		w.newest[kv.Key] = kv.Mod
	}
	w.seen, w.last = true, e.view
	return e.view, true
}

// next returns the next state; there must be one.
func (w *watching) next(what string) adapters.View {
	w.t.Helper()
	view, ok := w.poll(patience)
	if !ok {
		w.t.failf("the watch of %q did not show %s in %v", w.name, what, patience)
	}
	return view
}

// until reads states until one satisfies ok, and returns it.
func (w *watching) until(what string, ok func(adapters.View) bool) adapters.View {
	w.t.Helper()
	for {
		if view := w.next(what); ok(view) {
			return view
		}
	}
}

// untilValue reads states until key holds value; "" waits for it to be gone.
func (w *watching) untilValue(key, value string) adapters.KV {
	w.t.Helper()
	view := w.until(fmt.Sprintf("%q with value %q", key, value), func(v adapters.View) bool {
		kv, ok := v.Get(key)
		return ok == (value != "") && string(kv.Value) == value
	})
	kv, _ := view.Get(key)
	return kv
}

// quiet requires that nothing is yielded for d.
func (w *watching) quiet(d time.Duration, why string) {
	w.t.Helper()
	if view, ok := w.poll(d); ok {
		w.t.failf("the watch of %q yielded %s, but %s", w.name, list(view), why)
	}
}

// equalStates compares all that a state consists of; its Rev is only when it
// was seen.
func equalStates(a, b adapters.View) bool {
	return slices.EqualFunc(a.KVs, b.KVs, func(x, y adapters.KV) bool {
		return x.Key == y.Key && x.Created == y.Created && x.Mod == y.Mod && x.Lease == y.Lease && string(x.Value) == string(y.Value)
	})
}

func list(v adapters.View) string {
	s := fmt.Sprintf("%d keys", len(v.KVs))
	for i, kv := range v.KVs {
		if i == 3 {
			return s + " ..."
		}
		s += fmt.Sprintf(" [%q: %s]", kv.Key, show(kv))
	}
	return s
}

// contextAfter is for calls that outlive ctx.
func contextAfter(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), patience)
}
