// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/quorate/quorate/adapters"
)

type lease struct {
	ttl      time.Duration // as granted
	deadline time.Time     // the moment it ends unless renewed
	timer    *time.Timer
	keys     map[string]struct{} // that hang on it
}

// Grant starts a lease of ttl, or of Limits.MinTTL if that is longer.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (adapters.Lease, error) {
	if ttl <= 0 || s.limits.MaxTTL > 0 && ttl > s.limits.MaxTTL {
		return adapters.Lease{}, fmt.Errorf("memory: grant: %w: TTL is %v, must be positive and at most MaxTTL %v (0: no limit)",
			adapters.ErrInvalid, ttl, s.limits.MaxTTL)
	}
	if err := s.begin(ctx); err != nil {
		return adapters.Lease{}, fmt.Errorf("memory: grant: %w", err)
	}
	defer s.mu.Unlock()
	ttl = max(ttl, s.limits.MinTTL)
	s.lastID++
	id := adapters.LeaseID(strconv.FormatUint(s.lastID, 10))
	life := s.limits.Latest(ttl)
	s.leases[id] = &lease{
		ttl:      ttl,
		deadline: time.Now().Add(life),
		timer:    time.AfterFunc(life, func() { s.expire(id) }),
		keys:     make(map[string]struct{}),
	}
	return adapters.Lease{ID: id, TTL: ttl}, nil
}

// Renew starts the lease's time anew and returns its TTL.
func (s *Store) Renew(ctx context.Context, id adapters.LeaseID) (time.Duration, error) {
	if err := s.begin(ctx); err != nil {
		return 0, fmt.Errorf("memory: renew lease %s: %w", id, err)
	}
	defer s.mu.Unlock()
	l := s.leases[id]
	if l == nil {
		return 0, fmt.Errorf("memory: renew lease %s: %w", id, adapters.ErrLeaseLost)
	}
	life := s.limits.Latest(l.ttl)
	l.deadline = time.Now().Add(life)
	l.timer.Reset(life)
	return l.ttl, nil
}

// Revoke ends the lease and deletes its keys.
func (s *Store) Revoke(ctx context.Context, id adapters.LeaseID) error {
	if err := s.begin(ctx); err != nil {
		return fmt.Errorf("memory: revoke lease %s: %w", id, err)
	}
	defer s.mu.Unlock()
	s.end(id)
	return nil
}

// Expire ends the lease now, as if its time had run out, and reports whether
// it was alive.
func (s *Store) Expire(id adapters.LeaseID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && s.end(id)
}

// Skip lets d pass on the store's clock alone: every lease's deadline comes d
// closer, and the leases that are then past it end before Skip returns. To the
// clients it is as if they had been suspended for d.
func (s *Store) Skip(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	now := time.Now()
	ids := slices.SortedFunc(maps.Keys(s.leases), func(a, b adapters.LeaseID) int {
		return cmp.Or(s.leases[a].deadline.Compare(s.leases[b].deadline), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	for _, id := range ids {
		l := s.leases[id]
		l.deadline = l.deadline.Add(-d)
		if left := l.deadline.Sub(now); left > 0 {
			l.timer.Reset(left)
		} else {
			s.end(id)
		}
	}
}

// Leases lists the leases that are alive, the oldest first, so that a test can
// show that none was leaked.
func (s *Store) Leases() []adapters.LeaseID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Keys(s.leases), func(a, b adapters.LeaseID) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) // decimal numbers
	})
}

// expire is what a lease's timer calls. A timer that fired while Renew or Skip
// held the mutex comes too late or too early: the deadline decides, and whoever
// moved it has set the timer again.
func (s *Store) expire(id adapters.LeaseID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.leases[id]; l != nil && !s.closed && !time.Now().Before(l.deadline) {
		s.end(id)
	}
}

// end deletes a lease with its keys, in one revision.
func (s *Store) end(id adapters.LeaseID) bool {
	l := s.leases[id]
	if l == nil {
		return false
	}
	l.timer.Stop()
	delete(s.leases, id)
	if len(l.keys) > 0 {
		s.rev++
	}
	for key := range l.keys {
		s.space.remove(key)
		s.signal(key)
	}
	return true
}

func (s *Store) attach(kv adapters.KV) {
	if l := s.leases[kv.Lease]; l != nil {
		l.keys[kv.Key] = struct{}{}
	}
}

func (s *Store) detach(kv adapters.KV) {
	if l := s.leases[kv.Lease]; l != nil {
		delete(l.keys, kv.Key)
	}
}
