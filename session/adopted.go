// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/quorate/quorate/adapters"
)

// leaveAdopted deletes what we put on a lease that goes on without us. The
// session key goes last: with it goes the fence that a late create needs.
func (s *Session) leaveAdopted(ctx context.Context, inc *Incarnation) error {
	cleaned := make(chan struct{})
	s.spawn(func() { inc.cleanups.Wait(); close(cleaned) })
	select {
	case <-cleaned:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-inc.life.Done():
		return context.Cause(inc.life)
	}
	return s.retry(ctx, inc.life, func() error {
		_, err := inc.attempt(ctx, adapters.Tx{
			If:   []adapters.Cond{adapters.HeldBy(inc.key, inc.lease)},
			Then: []adapters.Op{adapters.Delete(inc.inbox), adapters.Delete(inc.key)},
		})
		if errors.Is(err, adapters.ErrConflict) {
			return nil // gone already
		}
		return err
	})
}

// abandon takes our keys off an adopted lease that we no longer trust but that
// may live on in other hands. It goes on in the background, after all work has
// returned, until it is done or Close has lost its patience.
func (s *Session) abandon(inc *Incarnation, cause error) {
	if errors.Is(cause, adapters.ErrLeaseLost) {
		return // they went with it
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.abandoned, s.stopAbandoning = make(chan struct{}), cancel
	go func() {
		defer close(s.abandoned)
		defer cancel()
		select {
		case <-inc.idleC():
		case <-ctx.Done():
			return
		}
		inc.mu.Lock()
		keys := slices.Collect(maps.Keys(inc.keys))
		inc.mu.Unlock()
		// The session key first: creates still on their way die with it.
		for _, key := range append([]string{inc.key, inc.inbox}, keys...) {
			_ = s.retry(ctx, ctx, func() error { // a conflict means that it is gone
				ctx, cancel := context.WithTimeout(ctx, s.callTimeout(inc.ttl))
				defer cancel()
				_, err := s.store.Commit(ctx, inc.deletion(key))
				return err
			})
		}
	}()
}
