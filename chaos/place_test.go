// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

const (
	locks     = 4
	elections = 2

	asks       = 5 * time.Millisecond // how often a holder asks
	keeperAsks = 20 * time.Millisecond
)

// place is what the workloads need of a hold or a term.
type place interface {
	Check() error
	Token() uint64
	Context() context.Context
}

// held is a place that a call gives back.
type held interface {
	place
	Unlock() error
}

// A turn is one try to get a lock, and the work under it.
type turn struct {
	name  string
	lock  func(ctx context.Context) (held, error)
	work  time.Duration
	every time.Duration // how often its work asks
	// lingers is how long the work goes on after it was told to return.
	lingers time.Duration
}

// useMutex locks one of a few names, again and again, and now and then gives up
// waiting.
func useMutex(ctx context.Context, c *client, rng *rand.Rand) {
	for ctx.Err() == nil {
		name := fmt.Sprint("l", rng.IntN(locks))
		wait, cancel := context.WithTimeout(ctx, between(rng, 50*time.Millisecond, 3*time.Second))
		err := c.take(ctx, wait, rng, turn{name: name, lock: c.mutex(name), work: between(rng, 0, 40*time.Millisecond), every: asks})
		cancel()
		if errors.Is(err, session.ErrClosed) {
			return
		}
	}
}

// keepOne keeps one name for some TTLs again and again, so that who is cut off has
// it then still. Each name has clients that want it at any time.
func keepOne(ctx context.Context, c *client, rng *rand.Rand) {
	const names = 4
	name := fmt.Sprint("k", (2*c.Number+int(c.kept.Add(1)))%names)
	for ctx.Err() == nil {
		keep := between(rng, c.TTL, 4*c.TTL)
		if err := c.take(ctx, ctx, rng, turn{name: name, lock: c.mutex(name), work: keep, every: keeperAsks}); errors.Is(err, session.ErrClosed) {
			return
		}
	}
}

// keeper returns what keeps one of so many names, another one each time, for so
// many TTLs.
func keeper(names, from, to int) func(context.Context, *client, *rand.Rand) {
	return func(ctx context.Context, c *client, rng *rand.Rand) {
		for ctx.Err() == nil {
			name := keptName(rng, names)
			keep := between(rng, time.Duration(from)*c.TTL, time.Duration(to)*c.TTL)
			err := c.take(ctx, ctx, rng, turn{name: name, lock: c.mutex(name), work: keep, every: keeperAsks})
			if errors.Is(err, session.ErrClosed) {
				return
			}
		}
	}
}

func keptName(rng *rand.Rand, names int) string { return fmt.Sprint("k", rng.IntN(names)) }

func (c *client) mutex(name string) func(context.Context) (held, error) {
	m, err := mutex.New(c.session, name, nil)
	if err != nil {
		panic(err)
	}
	return func(ctx context.Context) (held, error) {
		h, err := m.Lock(ctx)
		if err != nil {
			return nil, err
		}
		return h, nil
	}
}

// take waits for a lock until wait ends, works under it until ctx does, at the
// latest, and gives it back. It returns why it has not got it.
func (c *client) take(ctx, wait context.Context, rng *rand.Rand, t turn) error {
	id := c.log.Call(history.Mutex, t.name)
	stop := context.AfterFunc(wait, func() { c.log.Tell(history.Event{What: history.Cancel, ID: id}) })
	h, err := t.lock(wait)
	stop()
	if err != nil {
		c.log.Tell(history.Event{What: history.Failed, ID: id, Err: c.told(wait, err, session.ErrLost, session.ErrClosed)})
		pause(ctx, between(rng, 0, 50*time.Millisecond))
		return err
	}
	c.log.Tell(history.Event{What: history.Got, Kind: history.Mutex, Name: t.name, ID: id, Token: h.Token()})
	returned := c.working(ctx, rng, id, t, h)
	c.log.Tell(history.Event{What: history.Give, ID: id})
	err = h.Unlock()
	c.log.Tell(history.Event{What: history.Gave, ID: id, Err: c.told(nil, err, session.ErrLost, adapters.ErrUnknown)})
	<-returned
	pause(ctx, between(rng, 0, 20*time.Millisecond))
	return nil
}

// useElection leads, and resigns after a while.
func useElection(ctx context.Context, c *client, rng *rand.Rand) {
	name := fmt.Sprint("e", c.Number%elections)
	e, err := election.New(c.session, name, &election.Options{Value: c.Proc})
	if err != nil {
		panic(err)
	}
	lead := func(work func(context.Context, place) error) error {
		return e.Lead(ctx, func(ctx context.Context, term *election.Term) error { return work(ctx, term) })
	}
	for ctx.Err() == nil {
		t := turn{name: name, work: between(rng, 100*time.Millisecond, time.Second), every: asks}
		if err := c.runs(ctx, rng, history.Election, t, lead); errors.Is(err, session.ErrClosed) {
			return
		}
	}
}

// holds is the work under a place: it asks, and a moment after each yes writes to
// the resource, as work does. It returns when the place is lost, or it has worked
// for as long as it should, or a while after that, if it lingers.
func (c *client) holds(ctx context.Context, rng *rand.Rand, id uint64, p place, t turn) {
	c.log.Tell(history.Event{What: history.Working, ID: id})
	defer func() { c.log.Tell(history.Event{What: history.Rested, ID: id}) }()
	lost := func(err error) { // not released: that comes when the work has returned
		c.log.Tell(history.Event{What: history.Lost, ID: id, Err: c.told(nil, err, session.ErrLost, session.ErrClosed)})
	}
	var once sync.Once // told by the context, or by who asks and is told before
	ctx, cancel := context.WithTimeout(ctx, t.work)
	defer cancel()
	defer context.AfterFunc(p.Context(), func() {
		once.Do(func() { lost(context.Cause(p.Context())) })
		cancel()
	})()
	ticks := time.NewTicker(t.every)
	defer ticks.Stop()
	var late <-chan time.Time // when work that lingers returns
	for over := ctx.Done(); ; {
		asked := history.Now()
		if err := p.Check(); err != nil {
			once.Do(func() { lost(err) })
			cancel()
		} else {
			c.log.TellAt(asked, history.Event{What: history.Checked, ID: id})
			pause(ctx, between(rng, 0, t.every))
			c.resource.write(t.name, p.Token(), c.Proc)
		}
		select {
		case <-ticks.C:
		case <-late:
			return
		case <-over:
			if t.lingers == 0 {
				return
			}
			over, late = nil, time.After(t.lingers)
		}
	}
}

// observe watches one election.
func observe(ctx context.Context, c *client, rng *rand.Rand) {
	name := fmt.Sprint("e", rng.IntN(elections))
	e, err := election.New(c.session, name, nil)
	if err != nil {
		panic(err)
	}
	for leader, err := range e.Observe(ctx) {
		if err != nil {
			c.log.Tell(history.Event{What: history.Ended, Name: name, Err: c.toldEnd(ctx, err)})
			return
		}
		c.log.Tell(history.Event{What: history.Saw, Name: name, Token: leader.Token, Value: leader.Value})
	}
}
