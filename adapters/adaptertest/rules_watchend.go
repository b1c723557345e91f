// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"runtime/pprof"
	"strconv"
	"time"
)

var errStop = errors.New("adaptertest: stop")

var watchEndRules = []rule{
	{
		name: "watch/ends-with-cause",
		why:  "a watch ends with exactly one error, its context's cause, and at once: silence is indistinguishable from \"nothing has changed\"",
		test: func(t *trial) {
			key := t.create(t.key("k"), "x").Key
			ctx, cancel := context.WithCancelCause(t.ctx)
			defer cancel(nil)
			t.endsWithCause(ctx, key, func() { cancel(errStop) }, 1)

			ctx, stop := context.WithTimeoutCause(t.ctx, 500*time.Millisecond, errStop)
			defer stop()
			t.endsWithCause(ctx, t.root, func() {}, 1)
		},
	},
	{
		name: "watch/over-before",
		why:  "a watch whose context is over before it begins yields that error and nothing else",
		test: func(t *trial) {
			ctx, cancel := context.WithCancelCause(t.ctx)
			cancel(errStop)
			t.endsWithCause(ctx, t.root, func() {}, 0)
		},
	},
	{
		name: "watch/again",
		why:  "the sequence that Watch returns may be ranged over again: each time it begins with the state of that moment",
		test: func(t *trial) {
			key := t.create(t.key("k"), "0").Key
			seq := t.store.Watch(t.ctx, key)
			for i := range 3 {
				for view, err := range seq {
					t.must(err, "Watch")
					if kv, _ := view.Get(key); string(kv.Value) != strconv.Itoa(i) {
						t.failf("range %d begins with %s", i, show(kv))
					}
					break
				}
				t.update(key, strconv.Itoa(i+1))
			}
		},
	},
	{
		name: "watch/leaves-nothing",
		why:  "a watch that was left, by break or by its context, leaves no goroutine: waiters come and go all day",
		test: func(t *trial) {
			key := t.create(t.key("k"), "x").Key
			once := func(ctx context.Context) {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				for range t.store.Watch(ctx, key) {
					break
				}
				first := true
				for _, err := range t.store.Watch(ctx, key) {
					if err != nil && first {
						t.must(err, "Watch")
					}
					first = false
					cancel()
				}
			}
			once(t.ctx) // opens what is opened once per Store

			// Goroutines inherit the labels of whoever starts them, so these are
			// counted and no others, whatever runs beside.
			const watches, few = 16, 8
			id := strconv.Quote(t.root)
			pprof.Do(t.ctx, pprof.Labels("adaptertest", t.root), func(ctx context.Context) {
				for range watches {
					once(ctx)
				}
			})
			var left int
			for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); t.sleep(20 * time.Millisecond) {
				if left = labelled(id); left <= few {
					return
				}
			}
			t.failf("%d watches were left, 3 s later %d of their goroutines live", 2*watches, left)
		},
	},
}

// endsWithCause requires that a watch yields some states, then after stop one
// error, the cause, and nothing more.
func (t *trial) endsWithCause(ctx context.Context, name string, stop func(), states int) {
	t.Helper()
	events, quit := make(chan event), make(chan struct{})
	defer close(quit)
	go func() {
		send := func(e event) bool {
			select {
			case events <- e:
				return true
			case <-quit:
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
	receive := func(what string, within time.Duration) event {
		t.Helper()
		select {
		case e := <-events:
			return e
		case <-time.After(within):
			t.failf("the watch of %q did not yield %s within %v", name, what, within)
			return event{}
		}
	}
	for range states {
		e := receive("a first state", patience)
		if e.err != nil || e.end {
			t.failf("the watch of %q began with error %v, end %v", name, e.err, e.end)
		}
	}
	stop()
	if states > 0 {
		<-ctx.Done()
	}
	e := receive("an error when its context was over", prompt)
	if e.end {
		t.failf("the watch of %q ended without an error", name)
	}
	t.wantErr(e.err, context.Cause(ctx), "the watch of %q, its context over", name)
	if e = receive("its end after the error", prompt); !e.end {
		t.failf("the watch of %q went on after its error: %s, %v", name, list(e.view), e.err)
	}
}

// labelled counts the goroutines that carry a profiler label of this value.
func labelled(value string) int {
	var buf bytes.Buffer
	if pprof.Lookup("goroutine").WriteTo(&buf, 1) != nil {
		return 0
	}
	n, stacks := 0, 0
	for line := range bytes.Lines(buf.Bytes()) {
		if count, _, ok := bytes.Cut(line, []byte(" @ ")); ok {
			stacks, _ = strconv.Atoi(string(count))
		} else if bytes.HasPrefix(line, []byte("# labels:")) && bytes.Contains(line, []byte(value)) {
			n += stacks
		}
	}
	return n
}
