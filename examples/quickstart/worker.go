// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// envWorker makes the program a worker; its assignment as JSON.
const envWorker = "QUORATE_QUICKSTART_WORKER"

// An assignment is all that a worker is told.
type assignment struct {
	Name     string
	Place    place
	Prefix   string
	TTL      time.Duration
	Resource string
	Verbose  bool
}

// An event is one line from a worker to the program that started it.
type event struct {
	At    time.Duration `json:"at"`
	Kind  string        `json:"kind"`
	Token uint64        `json:"token,omitempty"`
	Note  string        `json:"note,omitempty"`
	who   string
}

// Kinds of event.
const (
	evReady   = "ready"   // the session is open
	evSession = "session" // it changed its state to Note
	evQueued  = "queued"  // waits to lead
	evLeading = "leading" // stamped before the first Check that passed
	evCheck   = "check"   // stamped before a Check that passed
	evRefused = "refused" // the resource refused the leader's write
	evDenied  = "denied"  // stamped after the Check that failed
	evOver    = "over"    // the term's context has ended
)

// A worker is a candidate and a user of the lock, as any service might be.
type worker struct {
	a  assignment
	mu sync.Mutex
}

// work is the life of a worker process. It ends in order when standard input
// does, which is when the parent wants it to or is gone.
func work(in string) int {
	w := &worker{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
		// If the parent is gone, so may be its etcd: do not wait for that long.
		time.Sleep(5 * time.Second)
		os.Exit(exitFailed)
	}()
	err := json.Unmarshal([]byte(in), &w.a)
	if err == nil {
		err = w.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	return exitOK
}

func (w *worker) run(ctx context.Context) (err error) {
	store, done, err := w.a.Place.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	opts := &session.Options{Prefix: w.a.Prefix, TTL: w.a.TTL, Owner: w.a.Name, Observer: w.observer()}
	if w.a.Verbose {
		opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("worker", w.a.Name)
	}
	opening, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := session.Open(opening, store, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	w.report(event{Kind: evReady})

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var both sync.WaitGroup
	for _, loop := range []func(context.Context, *session.Session) error{w.campaign, w.count} {
		both.Go(func() {
			if err := loop(ctx, s); ctx.Err() == nil {
				stop(fmt.Errorf("ended by itself: %w", err))
			}
		})
	}
	both.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// count takes the lock, increments the counter, gives the lock back, for ever.
func (w *worker) count(ctx context.Context, s *session.Session) error {
	lock, err := mutex.New(s, counter, nil)
	if err != nil {
		return err
	}
	res, err := dial(w.a.Resource, w.a.Name)
	if err != nil {
		return err
	}
	for {
		err := lock.Do(ctx, func(_ context.Context, h *mutex.Hold) error {
			return res.increment(counter, h.Token())
		})
		// A lock that was lost in the middle is no reason to stop. The next
		// turn reads the counter anew.
		if err != nil && !errors.Is(err, session.ErrLost) {
			return err
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// campaign leads whenever it can, for ever.
func (w *worker) campaign(ctx context.Context, s *session.Session) error {
	office, err := election.New(s, "leader", &election.Options{Value: w.a.Name})
	if err != nil {
		return err
	}
	res, err := dial(w.a.Resource, w.a.Name)
	if err != nil {
		return err
	}
	return office.Lead(ctx, func(ctx context.Context, term *election.Term) error {
		return w.lead(ctx, term, res)
	})
}

// lead is the work of the leader: it keeps the schedule.
func (w *worker) lead(ctx context.Context, term *election.Term, res *link) error {
	over := make(chan struct{})
	context.AfterFunc(ctx, func() {
		w.report(event{Kind: evOver, Token: term.Token(), Note: context.Cause(ctx).Error()})
		close(over)
	})
	kind := evLeading
	for {
		at := now() // before the Check: see the package's documentation
		if err := term.Check(); err != nil {
			w.report(event{Kind: evDenied, Token: term.Token(), Note: err.Error()})
			<-over // the context says the same a moment later
			return err
		}
		w.report(event{At: at, Kind: kind, Token: term.Token()})
		kind = evCheck
		if ctx.Err() != nil { // asked to stop
			<-over
			return context.Cause(ctx)
		}
		switch err := res.increment(schedule, term.Token()); {
		case errors.Is(err, errRefused):
			w.report(event{Kind: evRefused, Token: term.Token(), Note: err.Error()})
			continue
		case err != nil:
			return err
		}
		_ = sleep(ctx, 20*time.Millisecond)
	}
}

// observer reports what the library tells of the session and its queues.
func (w *worker) observer() *session.Observer {
	return &session.Observer{
		State: func(c session.StateChange) { w.report(event{Kind: evSession, Note: c.To.String()}) },
		Wait: func(p session.Place) {
			if p.Kind == "election" {
				w.report(event{Kind: evQueued})
			}
		},
	}
}

// report writes one event. It is stamped now unless it carries a stamp.
func (w *worker) report(e event) {
	if e.At == 0 {
		e.At = now()
	}
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and integers
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = os.Stdout.Write(append(line, '\n')) // without a parent there is nobody to tell
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
