// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/quorate/quorate/adapters"
)

// ErrClosed ends watches, and answers calls, after Close.
var ErrClosed = errors.New("store is closed")

// Options change how a Store behaves. The zero value is the default.
type Options struct {
	// Limits is what the store enforces and reports; nil means DefaultLimits.
	// Its ExpiryFactor and ExpiryLag are acted out: a lease that nobody renews
	// ends exactly Limits.Latest(ttl) after its last renewal, so a factor of 2
	// makes leases behave as Consul's do.
	Limits *adapters.Limits

	// Rev is the revision of the empty store; 0 means 1. A store that was
	// restored behind its clients is one with a small Rev. It must leave room
	// below the 1<<47 that adapters.Rev promises.
	Rev adapters.Rev
}

// DefaultLimits returns what a store enforces unless told otherwise: about what
// etcd does by default, except that every positive TTL is granted as asked.
func DefaultLimits() adapters.Limits {
	return adapters.Limits{
		MaxOps:       128,
		MaxKey:       1536,
		MaxValue:     512 << 10,
		MaxTx:        1 << 20,
		ExpiryFactor: 1,
	}
}

// A Store holds keys, leases and watches in the memory of this process. All of
// its methods may be called by many goroutines at once.
type Store struct {
	limits adapters.Limits
	done   chan struct{} // closed by Close

	mu       sync.Mutex // protects all below; never held across a yield or a wait
	rev      adapters.Rev
	space    space
	leases   map[adapters.LeaseID]*lease
	lastID   uint64
	watchers map[string]map[chan struct{}]struct{} // by the exact name watched
	closed   bool
}

var _ adapters.Store = (*Store)(nil)

// New makes an empty store. nil options are the defaults. A store that is to
// live in virtual time is made inside the bubble that uses it.
func New(opts *Options) *Store {
	if opts == nil {
		opts = &Options{}
	}
	limits := DefaultLimits()
	if opts.Limits != nil {
		limits = *opts.Limits
	}
	return &Store{
		limits:   limits,
		done:     make(chan struct{}),
		rev:      max(opts.Rev, 1),
		space:    newSpace(),
		leases:   make(map[adapters.LeaseID]*lease),
		watchers: make(map[string]map[chan struct{}]struct{}),
	}
}

// Limits returns the limits that the store was made with.
func (s *Store) Limits() adapters.Limits { return s.limits }

// Close stops the timers of all leases, ends all watches with ErrClosed and
// makes every later call fail with it. It may be called more than once and
// returns nil.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for _, l := range s.leases {
		l.timer.Stop()
	}
	close(s.done)
	return nil
}

// Read returns a linearizable view of name.
func (s *Store) Read(ctx context.Context, name string) (adapters.View, error) {
	if err := adapters.CheckName(name, s.limits); err != nil {
		return adapters.View{}, fmt.Errorf("memory: read: %w", err)
	}
	if err := s.begin(ctx); err != nil {
		return adapters.View{}, fmt.Errorf("memory: read %q: %w", name, err)
	}
	defer s.mu.Unlock()
	return s.view(name), nil
}

// Commit applies tx in one step, or nothing of it. When a condition fails and
// a lease has ended too, it reports the condition.
func (s *Store) Commit(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	if err := tx.Validate(s.limits); err != nil {
		return adapters.Result{}, fmt.Errorf("memory: commit: %w", err)
	}
	if err := s.begin(ctx); err != nil {
		return adapters.Result{}, fmt.Errorf("memory: commit: %w", err)
	}
	defer s.mu.Unlock()
	for _, c := range tx.If {
		if !s.holds(c) {
			return adapters.Result{}, fmt.Errorf("memory: commit: %w: %q", adapters.ErrConflict, c.Key)
		}
	}
	for _, op := range tx.Then {
		if op.Kind == adapters.OpPutLeased && s.leases[op.Lease] == nil {
			return adapters.Result{}, fmt.Errorf("memory: commit: put %q on lease %s: %w", op.Key, op.Lease, adapters.ErrLeaseLost)
		}
	}
	s.apply(tx.Then)
	res := adapters.Result{Rev: s.rev}
	for _, name := range tx.Reads {
		res.Views = append(res.Views, s.view(name))
	}
	return res, nil
}

// begin takes the mutex for one call, unless there is a reason not to serve it.
func (s *Store) begin(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	return nil
}

func (s *Store) view(name string) adapters.View {
	return adapters.View{Rev: s.rev, KVs: s.space.view(name)}
}

func (s *Store) holds(c adapters.Cond) bool {
	kv, exists := s.space.keys[c.Key]
	switch c.Kind {
	case adapters.CondAbsent:
		return !exists
	case adapters.CondUnchanged:
		return exists && kv.Mod == c.Mod
	case adapters.CondHeldBy:
		return exists && kv.Lease == c.Lease
	}
	return false
}

// apply makes the writes under one new revision, and no revision if all of
// them turn out to be deletes of keys that are not there.
func (s *Store) apply(ops []adapters.Op) {
	rev := s.rev + 1
	for _, op := range ops {
		old, exists := s.space.keys[op.Key]
		if op.Kind == adapters.OpDelete && !exists {
			continue
		}
		s.rev = rev
		kv := adapters.KV{Key: op.Key, Value: bytes.Clone(op.Value), Created: rev, Mod: rev, Tag: op.Tag}
		if exists {
			kv.Created = old.Created
		}
		switch op.Kind {
		case adapters.OpPutLeased:
			kv.Lease = op.Lease
		case adapters.OpPutKeep:
			kv.Lease = old.Lease
		}
		if old.Lease != kv.Lease || op.Kind == adapters.OpDelete {
			s.detach(old)
		}
		if op.Kind == adapters.OpDelete {
			s.space.remove(op.Key)
		} else {
			s.space.put(kv)
			s.attach(kv)
		}
		s.signal(op.Key)
	}
}
