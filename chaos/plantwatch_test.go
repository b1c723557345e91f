// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"iter"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/chaos/history"
)

// hidesDeletes tells some of those who wait for a slot late that it has gone: they
// wait on, and so do all who are behind them.
type hidesDeletes struct {
	adapters.Store
	ends atomic.Uint64 // of slots that were waited for
}

func (s *hidesDeletes) Watch(ctx context.Context, name string) iter.Seq2[adapters.View, error] {
	const each, late = 10, 3 * time.Second // one of so many is hidden, for so long
	if !isSlot(name) {
		return s.Store.Watch(ctx, name)
	}
	return func(yield func(adapters.View, error) bool) {
		for view, err := range s.Store.Watch(ctx, name) {
			if _, there := view.Get(name); err == nil && !there && s.ends.Add(1)%each == 0 {
				pause(ctx, late)
			}
			if !yield(view, err) {
				return
			}
		}
	}
}

// deaf is a store whose watches go on for a while after their context has ended.
type deaf struct{ adapters.Store }

func (s deaf) Watch(ctx context.Context, name string) iter.Seq2[adapters.View, error] {
	const late = 2 * time.Second
	if !isSlot(name) {
		return s.Store.Watch(ctx, name)
	}
	return func(yield func(adapters.View, error) bool) {
		for view, err := range s.Store.Watch(ctx, name) {
			if err != nil && ctx.Err() != nil {
				pause(context.Background(), late)
			}
			if !yield(view, err) {
				return
			}
		}
	}
}

func isSlot(key string) bool {
	return strings.Contains(key, "/"+history.Mutex+"/") && !strings.HasSuffix(key, "/")
}
