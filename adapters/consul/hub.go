// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
)

// maxHubs is how many hubs a Store has at most, each with one blocking query
// beyond Options.MaxPolls.
const maxHubs = 8

// A hub is how watches beyond Options.MaxPolls share one blocking query. It asks
// for the keys beneath the first segment of their names, cut after the next
// one: an answer of a few bytes, which comes after each change of any of those
// keys. Then it reads what its watches are about, and nothing else, in
// transactions.
type hub struct {
	store  *Store
	root   string // what is asked for, in stored form; empty for the whole store
	cancel context.CancelFunc
	done   sync.WaitGroup
	wake   chan struct{} // holds one token if there is something to read
	news   atomic.Bool   // a round found that something has changed

	mu      sync.Mutex
	members map[*member]bool // whether it has to be read without a change
}

// A member is a watch in a hub.
type member struct {
	name string
	ch   chan answer // holds the newest state that was not taken yet

	// These are the rounds' own.
	read bool // at least once
	last adapters.View
}

// shared follows name through a hub.
func (w *watch) shared(ctx context.Context) error {
	m := &member{name: w.name, ch: make(chan answer, 1)}
	h := w.store.enterHub(m)
	defer w.store.leaveHub(h, m)
	for {
		select {
		case a := <-m.ch:
			if a.err != nil {
				return a.err
			}
			if w.show(a.view); w.broken {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// enterHub puts m into the hub for its name, and starts it if it is new.
func (s *Store) enterHub(m *member) *hub {
	root := stored(m.name)
	if i := strings.IndexByte(root, '/'); i >= 0 {
		root = root[:i+1]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hubs[root] == nil && len(s.hubs) >= maxHubs-1 {
		root = ""
	}
	h := s.hubs[root]
	if h == nil {
		ctx, cancel := context.WithCancel(context.Background())
		h = &hub{store: s, root: root, cancel: cancel, wake: make(chan struct{}, 1), members: make(map[*member]bool)}
		s.hubs[root] = h
		h.done.Go(func() { h.listen(ctx) })
		h.done.Go(func() { h.rounds(ctx) })
	}
	h.mu.Lock()
	h.members[m] = true
	h.mu.Unlock()
	h.nudge()
	return h
}

// leaveHub takes m out of its hub, and waits for its end if it was the last.
func (s *Store) leaveHub(h *hub, m *member) {
	s.mu.Lock()
	h.mu.Lock()
	delete(h.members, m)
	last := len(h.members) == 0
	h.mu.Unlock()
	if last {
		delete(s.hubs, h.root)
	}
	s.mu.Unlock()
	if last {
		h.cancel()
		h.done.Wait()
	}
}

func (h *hub) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// listen has everything read again after each change beneath the root.
func (h *hub) listen(ctx context.Context) {
	failures, idle := newPause(maxPause), newPause(idlePause)
	patience := h.store.patience
	var index uint64
	for {
		wait := pollWait
		if index == 0 {
			wait = 0
		}
		var meta *api.QueryMeta
		asked := time.Now()
		err := h.store.poll(ctx, wait, patience, func(ctx context.Context, c *api.Client) error {
			q := consistent(ctx)
			q.WaitIndex, q.WaitTime = index, wait
			var err error
			_, meta, err = c.KV().Keys(h.root, "/", q)
			return err
		})
		pause := time.Duration(0)
		if err == nil || errors.Is(err, adapters.ErrDenied) {
			// Who may not ask for the names of the keys may read some all the same,
			// if only once in a while.
			h.mu.Lock()
			for m := range h.members {
				h.members[m] = true
			}
			h.mu.Unlock()
			h.nudge()
		}
		switch {
		case errors.Is(err, errMoved):
			index = 0
			patience = min(2*patience, maxTry)
		case err != nil:
			index = 0
			pause = failures.NextBackOff()
		default:
			failures.Reset()
			patience = h.store.patience
			if h.news.Swap(false) {
				idle.Reset()
			} else if index != 0 && time.Since(asked) < pollWait {
				pause = idle.NextBackOff()
			}
			next := max(meta.LastIndex, 1)
			if next < index {
				next = 0 // the index was reset
			}
			index = next
		}
		if sleep(ctx, pause) != nil {
			return
		}
	}
}

// rounds reads what has to be read, one round after the other, so that nobody
// is ever shown an older state after a newer one.
func (h *hub) rounds(ctx context.Context) {
	failures := newPause(maxPause)
	for {
		select {
		case <-h.wake:
		case <-ctx.Done():
			return
		}
		h.mu.Lock()
		due := make(map[string][]*member)
		for m, asked := range h.members {
			if asked {
				h.members[m] = false
				due[m.name] = append(due[m.name], m)
			}
		}
		h.mu.Unlock()
		// Of two subtrees the inner one is read first: if the outer one is not to
		// be seen, nothing tells where in the answer it would end.
		names := slices.Sorted(maps.Keys(due))
		slices.Reverse(names)
		for chunk := range slices.Chunk(names, maxOps/2) {
			if h.round(ctx, chunk, due) {
				failures.Reset()
			} else if sleep(ctx, failures.NextBackOff()) == nil {
				h.nudge()
			}
		}
	}
}

// round reads some names and hands the answers out. It reports whether it could.
func (h *hub) round(ctx context.Context, names []string, due map[string][]*member) bool {
	rctx, stop := h.store.untilMove(ctx)
	defer stop()
	answers, err := h.store.read(rctx, names)
	if ctx.Err() != nil {
		return true
	}
	for i, name := range names {
		for _, m := range due[name] {
			switch {
			case err == nil:
				a := answers[i]
				if a.err == nil && m.read && same(m.last, a.view) {
					continue
				}
				m.read, m.last = true, a.view
				h.news.Store(true)
				m.put(a)
			case errors.Is(err, adapters.ErrDenied):
				m.put(answer{err: err})
			default: // once more
				h.mu.Lock()
				if _, there := h.members[m]; there {
					h.members[m] = true
				}
				h.mu.Unlock()
			}
		}
	}
	return err == nil || errors.Is(err, adapters.ErrDenied)
}

// put leaves a for the watch, in the place of an older one.
func (m *member) put(a answer) {
	select {
	case <-m.ch:
	default:
	}
	select {
	case m.ch <- a:
	default:
	}
}
