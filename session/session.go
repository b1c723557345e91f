// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/quorate/quorate/adapters"
)

// A Session keeps one lease on a backend for as long as a program runs,
// whatever number of locks, terms and shards hang on it. When the lease is
// lost it ends what hung on it and then comes back with a new one, its next
// [Incarnation]. All methods may be called by many goroutines at once.
type Session struct {
	store  adapters.Store
	opts   Options
	log    *slog.Logger
	notify *notifier

	// ctx ends when Close is called. It stops the opening of incarnations, not
	// the one at work, which winds down first.
	ctx  context.Context
	stop context.CancelFunc
	done chan struct{} // closed when the session is over and quiet

	// abandoned is closed when no key of ours is left on a lost adopted lease;
	// nil if there is none. Both are set before done is closed.
	abandoned      chan struct{}
	stopAbandoning context.CancelFunc

	handlers handlers
	asking   atomic.Bool // Options.Health is running

	mu      sync.Mutex // protects what follows
	state   State
	cur     *Incarnation  // nil while there is none
	changed chan struct{} // closed and replaced when state or cur changes
	err     error         // why it is Closed
	over    bool          // no more goroutines may start
	why     error         // err to be, once over
	alone   map[string]chan struct{}
	wg      sync.WaitGroup
}

// Open opens a session on store and returns once it is Active. While the
// backend cannot be reached it tries again, with a growing pause, until ctx
// ends; then it returns the last reason. The session does not end with ctx:
// call Close. Store must outlive it.
func Open(ctx context.Context, store adapters.Store, o *Options) (*Session, error) {
	if store == nil {
		return nil, errors.New("session: open: store is nil")
	}
	opts, err := o.withDefaults(store.Limits())
	if err != nil {
		return nil, err
	}
	s := &Session{
		store:   store,
		opts:    opts,
		log:     opts.Logger,
		notify:  newNotifier(opts.Observer),
		done:    make(chan struct{}),
		changed: make(chan struct{}),
		state:   Lost,
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	inc, err := s.open(ctx)
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("session: open: %w", err)
	}
	s.enter(inc, Active, nil)
	go s.run(inc)
	return s, nil
}

// State returns where the session stands now.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Check returns nil while the session's present lease is trusted, ErrLost
// while there is none, and ErrClosed at the end. It looks at the clock and is
// right at once after a pause.
func (s *Session) Check() error {
	s.mu.Lock()
	inc, err := s.cur, s.err
	s.mu.Unlock()
	if inc != nil {
		return inc.Check()
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("session: %w: opening a new lease", ErrLost)
}

// Done is closed when the session is over for good: after Close, or after the
// end of an adopted lease. Err then tells why.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns nil until the session is over, then an error that wraps
// ErrClosed and the reason, if there is one.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Prefix returns the prefix of all keys of the session.
func (s *Session) Prefix() string { return s.opts.Prefix }

// Store returns the backend.
func (s *Session) Store() adapters.Store { return s.store }

// Logger returns the logger, which is never nil.
func (s *Session) Logger() *slog.Logger { return s.log }

// Current returns the present incarnation. While there is none it waits for
// the next, until ctx ends or the session is over.
func (s *Session) Current(ctx context.Context) (*Incarnation, error) {
	for {
		s.mu.Lock()
		inc, err, changed := s.cur, s.why, s.changed
		s.mu.Unlock()
		switch {
		case err != nil:
			return nil, err
		case s.ctx.Err() != nil:
			return nil, fmt.Errorf("session: %w", ErrClosed)
		case inc != nil && inc.Check() == nil:
			return inc, nil
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Close ends the session in order: it cancels the context of everything that
// hangs on it, waits until all of that has returned, and then gives the lease
// back, so that others go on at once. It takes no context: it has to work when
// the program's own is over. It waits for Options.CloseTimeout at most.
//
// Work that has not returned by then makes it return ErrStuck, naming the work,
// and keeps its places: renewals go on until it returns (see
// Options.ReleaseStuck). A backend that does not confirm is an error too; the
// lease then ends by itself. Close can be called again, to wait once more.
func (s *Session) Close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.CloseTimeout)
	defer cancel()
	select {
	case <-s.done:
	case <-ctx.Done():
		// What is confirmed in the same moment is better news.
		select {
		case <-s.done:
		default:
			return s.closeTimedOut()
		}
	}
	select {
	case <-s.notify.told():
	case <-ctx.Done(): // an observer is stuck; the session is closed all the same
	}
	if s.abandoned != nil {
		select {
		case <-s.abandoned:
		case <-ctx.Done():
			s.stopAbandoning()
			<-s.abandoned
			return s.closeTimedOut()
		}
	}
	var unconfirmed *unconfirmedError
	if err := s.Err(); errors.As(err, &unconfirmed) {
		return err
	}
	return nil
}

func (s *Session) closeTimedOut() error {
	s.mu.Lock()
	inc := s.cur
	s.mu.Unlock()
	if inc != nil && len(inc.outstanding()) > 0 {
		return inc.stuckError()
	}
	return fmt.Errorf("session: close: backend has not confirmed within Options.CloseTimeout %v: %w",
		s.opts.CloseTimeout, adapters.ErrUnknown)
}

// unconfirmedError is part of Err when the backend did not confirm the end.
type unconfirmedError struct{ err error }

func (e *unconfirmedError) Error() string { return "the end is not confirmed: " + e.err.Error() }
func (e *unconfirmedError) Unwrap() error { return e.err }

// enter makes inc and state what the session is, and tells whoever waits.
func (s *Session) enter(inc *Incarnation, to State, cause error) {
	s.mu.Lock()
	from := s.state
	s.cur, s.state = inc, to
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	s.tell(inc, from, to, cause)
}

// shift changes the state of inc if it is still the session's and in from.
func (s *Session) shift(inc *Incarnation, from, to State, cause error) {
	s.mu.Lock()
	if s.cur != inc || s.state != from {
		s.mu.Unlock()
		return
	}
	s.state = to
	s.mu.Unlock()
	s.tell(inc, from, to, cause)
}

func (s *Session) tell(inc *Incarnation, from, to State, cause error) {
	id := ""
	if inc != nil {
		id = inc.id
	}
	level := slog.LevelInfo
	if cause != nil && to != Closed {
		level = slog.LevelWarn
	}
	s.log.Log(context.Background(), level, "session "+to.String(), "session", id, "from", from.String(), "cause", cause)
	s.notify.state(StateChange{At: time.Now(), Session: id, From: from, To: to, Cause: cause})
}

// spawn runs f unless the session is over. Close waits for it.
func (s *Session) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.wg.Go(f)
	return true
}

// callTimeout is the deadline of one call. A sixth of the TTL leaves room for
// three renewals in the two thirds of the TTL that follow the first.
func (s *Session) callTimeout(ttl time.Duration) time.Duration {
	return max(ttl/6, 100*time.Millisecond)
}

// retry calls f until it succeeds, fails for good, or ctx or life ends, with a
// growing pause. Its error tells why it gave up and the last failure.
func (s *Session) retry(ctx, life context.Context, f func() error) error {
	pause := newBackOff(s.opts.TTL)
	var why error // the last failure that tells more than that time was up
	for {
		err := f()
		if err == nil || final(err) {
			return err
		}
		if why == nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			why = err
		}
		timer := time.NewTimer(pause.NextBackOff())
		select {
		case <-timer.C:
		case <-life.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", context.Cause(life), why)
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", context.Cause(ctx), why)
		}
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

// final says whether trying again cannot help.
func final(err error) bool {
	return errors.Is(err, adapters.ErrConflict) || errors.Is(err, adapters.ErrLeaseLost) ||
		errors.Is(err, adapters.ErrInvalid) || errors.Is(err, adapters.ErrDenied)
}

// newBackOff paces tries against a backend that does not answer: soon at
// first, and often enough that a lease has several before it ends.
func newBackOff(ttl time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = min(20*time.Millisecond, ttl/50)
	b.MaxInterval = min(time.Second, ttl/10)
	b.MaxElapsedTime = 0 // the context decides
	b.Reset()
	return b
}
