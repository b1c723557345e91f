// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/adapters"
)

func sessionKey(prefix, id string) string { return prefix + "/session/" + id }
func inboxKey(prefix, id string) string   { return prefix + "/inbox/" + id }

// run is the session's own goroutine: it keeps one incarnation after another.
func (s *Session) run(inc *Incarnation) {
	for {
		s.keep(inc)
		cause := context.Cause(inc.life)
		if errors.Is(cause, ErrClosed) {
			s.finish(inc, cause)
			return
		}
		for _, w := range inc.outstanding() {
			w.lose(cause)
		}
		if s.opts.Lease != "" {
			s.abandon(inc, cause)
			s.finish(inc, fmt.Errorf("session: %w: adopted lease has ended: %w", ErrClosed, cause))
			return
		}
		s.enter(nil, Lost, cause)
		lost := inc // the variable moves on
		s.spawn(func() { s.retire(lost) })
		next, err := s.open(s.ctx)
		if err != nil {
			// Closed meanwhile, or refused for good.
			s.finish(nil, fmt.Errorf("session: %w: %w", ErrClosed, err))
			return
		}
		inc = next
		s.enter(inc, Active, nil)
	}
}

// finish ends the session and waits for all its goroutines.
func (s *Session) finish(inc *Incarnation, cause error) {
	s.mu.Lock()
	s.over, s.why = true, cause
	s.mu.Unlock()
	s.stop()
	s.wg.Wait()
	s.mu.Lock()
	s.err = cause
	s.mu.Unlock()
	s.enter(nil, Closed, cause)
	close(s.done)
}

// open tries to open an incarnation until ctx ends or the session closes.
func (s *Session) open(ctx context.Context) (*Incarnation, error) {
	var inc *Incarnation
	err := s.retry(ctx, s.ctx, func() error {
		var err error
		inc, err = s.tryOpen(ctx)
		if err != nil {
			s.log.Debug("session cannot be opened yet", "cause", err)
		}
		if s.opts.Lease == "" && errors.Is(err, adapters.ErrLeaseLost) {
			// Ended between the grant and the first write: take another.
			return fmt.Errorf("lease was too short: %v", err)
		}
		return err
	})
	return inc, err
}

func (s *Session) tryOpen(ctx context.Context) (*Incarnation, error) {
	// An answer that takes half a TTL would open a session in jeopardy.
	ctx, cancel := context.WithTimeout(ctx, max(s.opts.TTL/2, time.Second))
	defer cancel()
	stop := context.AfterFunc(s.ctx, cancel)
	defer stop()
	if err := s.healthy(ctx); err != nil {
		return nil, err
	}
	sent := s.opts.Clock.Now()
	lease, err := s.lease(ctx)
	if err != nil {
		return nil, err
	}
	received := s.opts.Clock.Now()
	inc := s.newIncarnation(lease)
	inc.win.start(s.anchor(sent, received), lease.TTL)
	if err := inc.createKeys(ctx); err != nil {
		inc.endLife(inc.lost(err))
		if s.opts.Lease == "" {
			// Best effort: nothing hangs on it, and it ends by itself.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.callTimeout(lease.TTL))
			defer cancel()
			_ = s.store.Revoke(ctx, lease.ID)
		}
		return nil, err
	}
	if !inc.win.trusted() {
		inc.end(errWindow)
		return nil, fmt.Errorf("backend took longer than the lease lasts: %w", errWindow)
	}
	return inc, nil
}

// lease grants a lease, or looks at the adopted one.
func (s *Session) lease(ctx context.Context) (adapters.Lease, error) {
	if s.opts.Lease == "" {
		return s.store.Grant(ctx, s.opts.TTL)
	}
	ttl, err := s.store.Renew(ctx, s.opts.Lease)
	if m := s.opts.margin(ttl); err == nil && m >= ttl/2 {
		err = fmt.Errorf("%w: Options.Margin is %v, must be less than half of the adopted lease's TTL %v",
			adapters.ErrInvalid, m, ttl)
	}
	return adapters.Lease{ID: s.opts.Lease, TTL: ttl}, err
}

// anchor returns when trust begins: when the request was sent (rule R1).
func (s *Session) anchor(sent, received time.Duration) time.Duration {
	if s.opts.plant.fromReceipt {
		return received
	}
	return sent
}

func (s *Session) newIncarnation(lease adapters.Lease) *Incarnation {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	inc := &Incarnation{
		s:     s,
		id:    hex.EncodeToString(id[:]),
		lease: lease.ID,
		ttl:   lease.TTL,
		info:  newInfo(s.opts.Owner, lease.TTL),
		holds: map[*Work]struct{}{},
		keys:  map[string]bool{},
		win:   window{clock: s.opts.Clock, margin: s.opts.margin(lease.TTL), letGo: s.opts.Policy == LetGo},
	}
	inc.key, inc.inbox = sessionKey(s.opts.Prefix, inc.id), inboxKey(s.opts.Prefix, inc.id)
	inc.life, inc.endLife = context.WithCancelCause(context.Background())
	inc.work, inc.endWork = context.WithCancelCause(inc.life)
	return inc
}

func (inc *Incarnation) record() []byte { return inc.info.marshal() }

// createKeys writes the session key and the inbox. The id is new, so a
// conflict can only mean that an earlier try of ours was applied after all.
func (inc *Incarnation) createKeys(ctx context.Context) error {
	tx := adapters.Tx{
		If: []adapters.Cond{adapters.Absent(inc.key), adapters.Absent(inc.inbox)},
		Then: []adapters.Op{
			adapters.PutLeased(inc.key, inc.record(), inc.lease),
			adapters.PutLeased(inc.inbox, inboxJSON{}.marshal(), inc.lease),
		},
	}
	return inc.s.retry(ctx, ctx, func() error {
		res, err := inc.attempt(ctx, tx)
		if errors.Is(err, adapters.ErrConflict) {
			return inc.Verify(ctx)
		}
		inc.fence = max(inc.fence, res.Rev)
		return err
	})
}

// keep renews the lease and watches over it until the incarnation is over:
// lost, or closed in order.
func (s *Session) keep(inc *Incarnation) {
	s.spawn(func() { s.renew(inc) })
	s.spawn(func() { s.receive(inc) })
	closing := s.ctx.Done()
	var idle <-chan struct{}
	for inc.life.Err() == nil {
		if !inc.win.trusted() {
			inc.end(inc.windowError())
			return
		}
		if inc.win.late() {
			s.shift(inc, Active, Jeopardy, errors.New("renewal overdue"))
		}
		timer := time.NewTimer(s.nextLook(inc))
		select {
		case <-timer.C:
		case <-inc.life.Done():
		case <-closing:
			closing = nil
			inc.stopWork()
			idle = s.workDone(inc)
		case <-idle:
			timer.Stop()
			s.giveBack(inc)
			return
		}
		timer.Stop()
	}
}

// nextLook is when the watch over the window looks again. Timers stand still
// while the machine is suspended, so it is never far away: the contexts end
// within that time after the machine woke.
func (s *Session) nextLook(inc *Incarnation) time.Duration {
	const most = 500 * time.Millisecond
	d := min(inc.win.left(), max(inc.ttl/20, 10*time.Millisecond), most)
	return max(d, time.Millisecond)
}

// workDone returns a channel that is closed when the lease can be given back.
func (s *Session) workDone(inc *Incarnation) <-chan struct{} {
	idle := inc.idleC()
	done := make(chan struct{})
	s.spawn(func() {
		timer := time.NewTimer(s.opts.CloseTimeout)
		defer timer.Stop()
		select {
		case <-idle:
			close(done)
			return
		case <-inc.life.Done():
			return
		case <-timer.C:
		}
		inc.reportStuck()
		if s.opts.ReleaseStuck {
			close(done)
			return
		}
		select {
		case <-idle:
			close(done)
		case <-inc.life.Done():
		}
	})
	return done
}

// retire looks after a lost incarnation: once all its work has returned, the
// lease is given back rather than left to run out, in case the backend still
// has it; work that has not returned after a TTL is reported.
func (s *Session) retire(inc *Incarnation) {
	idle := inc.idleC()
	timer := time.NewTimer(inc.ttl)
	defer timer.Stop()
	select {
	case <-idle:
	case <-s.ctx.Done():
	case <-timer.C:
		inc.reportStuck()
		return // it has run out
	}
	select {
	case <-idle:
	default:
		return // the session closes; nothing may be given back under its work
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.callTimeout(inc.ttl))
	defer cancel()
	_ = s.store.Revoke(ctx, inc.lease) // else it runs out
}

// giveBack ends the lease of inc, or takes our keys off an adopted one.
func (s *Session) giveBack(inc *Incarnation) {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.CloseTimeout)
	defer cancel()
	var err error
	if s.opts.Lease == "" {
		err = s.retry(ctx, inc.life, func() error {
			ctx, done := inc.bounded(ctx)
			defer done()
			return s.store.Revoke(ctx, inc.lease)
		})
	} else {
		err = s.leaveAdopted(ctx, inc)
	}
	cause := inc.closedErr()
	if err != nil && !errors.Is(err, adapters.ErrLeaseLost) {
		cause = fmt.Errorf("%w: %w", cause, &unconfirmedError{err})
	}
	inc.win.shut()
	inc.endLife(cause)
}
