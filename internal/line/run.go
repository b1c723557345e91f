// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/quorate/quorate/session"
)

// Run queues with value, runs f as the owner, waits for f to return, and only
// then gives the place back; in that order also when f panics. The context of f
// ends with ctx, with the place, and when f's step down is called.
//
// If the place was lost under f, or the session while queueing, or f stepped
// down, Run queues again and runs f again. Otherwise it returns what f
// returned. A nil of f after the place was lost is not passed on as success:
// others may have been at work already. Unless f had stepped down: then it was
// done with that place anyway.
func (l *Line) Run(ctx context.Context, value string, f func(ctx context.Context, s *Slot, stepDown func()) error) error {
	pause := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		slot, err := l.Join(ctx, value)
		again := errors.Is(err, session.ErrLost)
		if err == nil {
			pause.Reset()
			var lost error
			err, lost, again = slot.run(ctx, f)
			if lost != nil && err == nil && !again {
				return fmt.Errorf("function returned after its place was lost: %w", lost)
			}
			again = again || lost != nil
		}
		if !again || ctx.Err() != nil {
			return err
		}
		l.s.Logger().Info("queueing again", "kind", l.kind, "name", l.name, "cause", err)
		if err := sleep(ctx, pause.NextBackOff()); err != nil {
			return err
		}
	}
}

func (s *Slot) run(ctx context.Context, f func(context.Context, *Slot, func()) error) (err, lost error, again bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(ErrReleased)
	stop := context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })
	defer stop()
	returned := make(chan struct{})
	defer close(returned)
	defer context.AfterFunc(ctx, func() { s.watchReturn(context.Cause(ctx), returned) })()
	// An unconfirmed release is no concern of the caller: the work was done
	// under the place, and the rest is settled in the background.
	defer func() { _ = s.Leave() }()
	var down atomic.Bool
	err = f(ctx, s, func() {
		down.Store(true)
		cancel(ErrReleased)
	})
	return err, s.inc.Check(), down.Load()
}

// watchReturn reports work that has not returned a TTL after it was told to.
func (s *Slot) watchReturn(cause error, returned <-chan struct{}) {
	timer := time.NewTimer(s.inc.TTL())
	defer timer.Stop()
	select {
	case <-timer.C:
		s.work.Stuck(cause)
	case <-returned:
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
