// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/quorate/quorate/session"
)

// A Shard is one shard while it is ours. It can be copied.
type Shard struct {
	Number int
	Token  uint64 // fencing token; strictly increases from owner to owner of the shard

	h *holding // nil while it is being prepared for
}

// Check returns nil while nobody else can own the shard. It looks at the clock,
// so it is right at once after a pause of the process. While its work winds up
// the shard is still ours.
func (s Shard) Check() error {
	if s.h == nil {
		return fmt.Errorf("shard %d: is not ours yet", s.Number)
	}
	return s.h.check()
}

// holding is a shard of ours, from its claim to its release.
type holding struct {
	g     *Group
	inc   *session.Incarnation
	hand  Handler
	shard Shard
	work  *session.Work
	end   func() // of Group.begin

	// ctx ends when the shard has to stop; trust when it cannot be ours any more.
	ctx, trust       context.Context
	stop, distrust   context.CancelCauseFunc
	acquired, wound  chan struct{} // closed when Acquire and Drain have returned
	stopOnce         sync.Once
	stopped          atomic.Int64 // when Drain returned, UnixNano
	onWound, onStuck func()
}

func (h *holding) check() error {
	if err := h.inc.Check(); err != nil {
		return err
	}
	if h.trust.Err() != nil {
		return context.Cause(h.trust)
	}
	return nil
}

// hold begins the work on a shard that has become ours. OnWound is called when
// the work has returned after a stop, onStuck when it has not in time.
func (g *Group) hold(inc *session.Incarnation, hand Handler, number int, token uint64, onWound, onStuck func()) (*holding, error) {
	work, err := inc.Begin("shard", fmt.Sprintf("%s/%d", g.name, number))
	if err != nil {
		return nil, err
	}
	h := &holding{
		g: g, inc: inc, hand: hand, work: work, end: g.begin(number),
		acquired: make(chan struct{}), wound: make(chan struct{}), onWound: onWound, onStuck: onStuck,
	}
	h.shard = Shard{Number: number, Token: token, h: h}
	h.trust, h.distrust = context.WithCancelCause(context.Background())
	h.ctx, h.stop = context.WithCancelCause(inc.Context())
	work.Acquired(token)
	go func() {
		defer close(h.acquired)
		if hand.Acquire != nil {
			hand.Acquire(h.ctx, h.shard)
		}
	}()
	return h, nil
}

// windUp has the work stop, for that reason, and returns at once.
func (h *holding) windUp(cause error) {
	h.stop(cause)
	h.stopOnce.Do(func() { go h.drain() })
}

func (h *holding) drain() {
	stuck := time.AfterFunc(h.g.opts.DrainTimeout, func() {
		h.work.Stuck(context.Cause(h.ctx))
		h.onStuck()
	})
	<-h.acquired
	if h.hand.Drain != nil {
		h.hand.Drain(h.trust, h.shard)
	}
	stuck.Stop()
	h.stopped.Store(time.Now().UnixNano())
	close(h.wound)
	h.work.Done()
	h.end()
	h.onWound()
}

// over says that the shard cannot be ours any more.
func (h *holding) over(cause error) {
	h.distrust(cause)
	h.windUp(cause)
	if h.hand.Release != nil {
		go func() {
			<-h.wound
			h.hand.Release(h.shard)
		}()
	}
}

// runner makes a Handler of a function that is to run while a shard is ours.
func runner(g *Group, f func(context.Context, Shard) error) Handler {
	var running sync.Map // of shard number to chan struct{}
	return Handler{
		Acquire: func(ctx context.Context, s Shard) {
			done := make(chan struct{})
			running.Store(s.Number, done)
			go func() {
				defer close(done)
				g.keepRunning(ctx, s, f)
			}()
		},
		Drain: func(_ context.Context, s Shard) {
			if done, ok := running.LoadAndDelete(s.Number); ok {
				<-done.(chan struct{})
			}
		},
	}
}

// keepRunning calls f until ctx ends.
func (g *Group) keepRunning(ctx context.Context, s Shard, f func(context.Context, Shard) error) {
	pause := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	for ctx.Err() == nil {
		began := time.Now()
		err := f(ctx, s)
		if ctx.Err() != nil {
			return
		}
		if err == nil || time.Since(began) > pause.MaxInterval {
			pause.Reset()
		}
		g.s.Logger().Warn("work on a shard returned, starting it again", "group", g.name, "shard", s.Number, "err", err)
		_ = sleep(ctx, pause.NextBackOff())
	}
}
