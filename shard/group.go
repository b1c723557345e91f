// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/quorate/quorate/session"
)

// A Group is a fixed number of shards and the members that share them. Any
// number of groups can hang on one session.
type Group struct {
	s      *session.Session
	name   string
	shards int
	opts   Options
	keys   keys

	mu      sync.Mutex // protects what follows
	serving bool
	table   *Table                // the newest that a member of this process has seen
	calls   map[int]chan struct{} // work that has not returned, by shard; see busy
}

// New returns the group of that name with that many shards. It asks the store
// for nothing yet. Names are arbitrary text up to adapters.MaxName bytes.
func New(s *session.Session, name string, shards int, o *Options) (*Group, error) {
	if s == nil {
		return nil, fmt.Errorf("shard group %q: session is nil", name)
	}
	opts, err := o.withDefaults(s, shards)
	if err != nil {
		return nil, fmt.Errorf("shard group %q: %w", name, err)
	}
	k, err := newKeys(s.Prefix(), name)
	if err != nil {
		return nil, fmt.Errorf("shard group %q: %w", name, err)
	}
	return &Group{s: s, name: name, shards: shards, opts: opts, keys: k, table: newTable(shards), calls: make(map[int]chan struct{})}, nil
}

func (g *Group) errorf(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("shard group %q: %s: %w", g.name, op, err)
}

// Handler is what a member does with shards. Any function may be nil. Those for
// one shard are called one after the other; for different shards they are
// called at the same time.
type Handler struct {
	// Prepare is called for a shard that is going to be ours, while its present
	// owner goes on: to warm up. The owner stops when it has returned nil (or after
	// Options.PrepareTimeout). Its context ends if the move is called off. After an
	// error it is called again, with a growing pause. It is not called if the owner
	// is gone or if there is none.
	Prepare func(ctx context.Context, s Shard) error

	// Acquire is called when the shard has become ours. Its context ends before the
	// shard can become somebody else's. It should return soon, work goes on after it.
	Acquire func(ctx context.Context, s Shard)

	// Drain is called once after each Acquire that has returned, when the
	// context of that has ended. The shard stays ours until Drain returns. Its own
	// context ends when that is not so any more: when the session is lost.
	Drain func(ctx context.Context, s Shard)

	// Release is called after Drain, when the shard is not ours any more.
	Release func(s Shard)
}

// Run makes the process a member of the group and calls f for each shard that it
// owns, each in a goroutine. The context of f ends when the shard has to move,
// with ErrMoved as its cause, and when the session or the group is left; the
// shard is given away only when f has returned. If f returns while the shard is
// still ours, it is called again, after a pause that grows if it was an error.
//
// When the session is lost, Run waits for the next and takes part again. It
// returns when ctx ends, after its shards have moved to others in order, with
// ctx's cause; when the session is closed; or with what keeps it from going on.
func (g *Group) Run(ctx context.Context, f func(ctx context.Context, s Shard) error) error {
	return g.errorf("run", g.serve(ctx, runner(g, f)))
}

// Serve is Run with functions of its own for each step.
func (g *Group) Serve(ctx context.Context, h Handler) error {
	return g.errorf("serve", g.serve(ctx, h))
}

func (g *Group) serve(ctx context.Context, h Handler) (err error) {
	g.mu.Lock()
	if g.serving {
		g.mu.Unlock()
		return errors.New("is being served already")
	}
	g.serving = true
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.serving = false
		g.mu.Unlock()
		if !errors.Is(err, ErrStuck) {
			g.awaitWork()
		}
	}()
	pause := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		var inc *session.Incarnation
		if inc, err = g.s.Current(ctx); err != nil {
			return err
		}
		began := time.Now()
		err = g.live(ctx, inc, h)
		if !errors.Is(err, session.ErrLost) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx) // it was on its way out
		}
		g.s.Logger().Info("joining shard group again", "group", g.name, "cause", err)
		if time.Since(began) > inc.TTL() {
			pause.Reset()
		}
		if err := sleep(ctx, pause.NextBackOff()); err != nil {
			return err
		}
	}
}

// Table returns the newest plan that this process has seen as a member. Before
// the first it is empty: its epoch is 0.
func (g *Group) Table() *Table {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.table
}

// Tables yields the plan, and again each newer one; it may skip some. It is for
// routers and watchers that are no members too, and costs one watch. It ends
// when ctx does, with its cause, or with the error that kept it from going on.
func (g *Group) Tables(ctx context.Context) iter.Seq2[*Table, error] {
	return func(yield func(*Table, error) bool) {
		p := plans{g.s.Store(), g.keys, g.shards}
		for t, err := range p.follow(ctx) {
			if !yield(t, g.errorf("watch the plan", err)) || err != nil {
				return
			}
		}
	}
}

// saw notes a newer table.
func (g *Group) saw(t *Table) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.table = t
}

// busy returns a channel that is closed when earlier work on shard has returned,
// nil if there is none.
func (g *Group) busy(shard int) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[shard]
}

// awaitWork waits until all work has returned.
func (g *Group) awaitWork() {
	for {
		g.mu.Lock()
		var one chan struct{}
		for _, one = range g.calls {
			break
		}
		g.mu.Unlock()
		if one == nil {
			return
		}
		<-one
	}
}

// begin notes that work on shard begins; end is to be called when it has returned.
func (g *Group) begin(shard int) (end func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	done := make(chan struct{})
	g.calls[shard] = done
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.calls, shard)
		close(done)
	}
}
