// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/quorate/quorate/adapters"
)

// Watch yields the state of name and then each newer one. It runs in its
// reader's goroutine: while the reader is busy, changes gather into one state.
func (s *Store) Watch(ctx context.Context, name string) iter.Seq2[adapters.View, error] {
	return func(yield func(adapters.View, error) bool) {
		fail := func(err error) { yield(adapters.View{}, fmt.Errorf("memory: watch %q: %w", name, err)) }
		if err := adapters.CheckName(name, s.limits); err != nil {
			fail(err)
			return
		}
		// The signal is registered before the first read, so no change can fall
		// between the two.
		changed := make(chan struct{}, 1)
		if err := s.begin(ctx); err != nil {
			fail(err)
			return
		}
		if s.watchers[name] == nil {
			s.watchers[name] = make(map[chan struct{}]struct{})
		}
		s.watchers[name][changed] = struct{}{}
		s.mu.Unlock()
		defer s.forget(name, changed)

		var last adapters.View
		for first := true; ; first = false {
			if err := s.begin(ctx); err != nil {
				fail(err)
				return
			}
			view := s.view(name)
			s.mu.Unlock()
			if (first || !same(last, view)) && !yield(view, nil) {
				return
			}
			last = view
			select {
			case <-changed:
			case <-ctx.Done():
			case <-s.done:
			}
		}
	}
}

// same compares states. A write moves Mod, so key and Mod tell all.
func same(a, b adapters.View) bool {
	return slices.EqualFunc(a.KVs, b.KVs, func(x, y adapters.KV) bool { return x.Key == y.Key && x.Mod == y.Mod })
}

// signal wakes the watches whose names show key, and no others.
func (s *Store) signal(key string) {
	wake := func(name string) {
		for changed := range s.watchers[name] {
			select {
			case changed <- struct{}{}:
			default: // it has yet to look at an earlier change
			}
		}
	}
	wake(key)
	for dir := range dirs(key) {
		wake(dir)
	}
}

func (s *Store) forget(name string, changed chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers[name], changed)
	if len(s.watchers[name]) == 0 {
		delete(s.watchers, name)
	}
}
