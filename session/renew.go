// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/adapters"
)

// renew extends the lease every third of its TTL until the incarnation ends.
// Each try is a call of its own with a short deadline, so that a server that
// hangs costs one try and the next can go to another.
func (s *Session) renew(inc *Incarnation) {
	pause := newBackOff(inc.ttl)
	wait := inc.ttl / 3
	for {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-inc.life.Done():
			timer.Stop()
			return
		}
		sent, ttl, err := s.renewOnce(inc)
		switch {
		case err == nil && inc.win.renewed(sent, ttl):
			inc.trouble.Store(nil)
			s.shift(inc, Jeopardy, Active, nil)
			pause.Reset()
			wait = max(0, sent+ttl/3-s.opts.Clock.Now())
		case errors.Is(err, adapters.ErrLeaseLost):
			inc.end(adapters.ErrLeaseLost)
			return
		default:
			if err == nil {
				err = errWindow // acknowledged after trust had ended
			} else {
				inc.trouble.Store(&err)
			}
			s.log.Debug("session renewal failed", "session", inc.id, "cause", err)
			wait = pause.NextBackOff()
			if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errUnhealthy) {
				inc.passHung(inc.life)
			}
		}
	}
}

// renewOnce returns the clock reading from which the acknowledged TTL counts.
func (s *Session) renewOnce(inc *Incarnation) (sent, ttl time.Duration, err error) {
	ctx, cancel := context.WithTimeout(inc.life, inc.ttl/6)
	defer cancel()
	if err := s.healthy(ctx); err != nil {
		return 0, 0, err
	}
	sent = s.opts.Clock.Now()
	ttl, err = s.store.Renew(ctx, inc.lease)
	return s.anchor(sent, s.opts.Clock.Now()), ttl, err
}

// healthy asks the program whether it is fit to hold anything. A function that
// does not return by its deadline is one that is not.
func (s *Session) healthy(ctx context.Context) error {
	if s.opts.Health == nil {
		return nil
	}
	if !s.asking.CompareAndSwap(false, true) {
		return fmt.Errorf("%w: has not returned from an earlier call", errUnhealthy)
	}
	answer := make(chan error, 1)
	go func() {
		defer s.asking.Store(false)
		answer <- s.opts.Health(ctx)
	}()
	select {
	case err := <-answer:
		if err != nil {
			return fmt.Errorf("%w: %w", errUnhealthy, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: no answer: %w", errUnhealthy, context.Cause(ctx))
	}
}
