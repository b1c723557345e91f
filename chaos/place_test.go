// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
}

// useMutex locks one of a few names, again and again, and now and then gives up
// waiting.
func useMutex(ctx context.Context, c *client, rng *rand.Rand) {
	for ctx.Err() == nil {
		name := fmt.Sprint("l", rng.IntN(locks))
		wait, cancel := context.WithTimeout(ctx, between(rng, 50*time.Millisecond, 3*time.Second))
		err := c.take(ctx, wait, rng, turn{name, c.mutex(name), between(rng, 0, 40*time.Millisecond), asks})
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
		if err := c.take(ctx, ctx, rng, turn{name, c.mutex(name), keep, keeperAsks}); errors.Is(err, session.ErrClosed) {
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
			err := c.take(ctx, ctx, rng, turn{name, c.mutex(name), keep, keeperAsks})
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
		c.log.Tell(history.Event{What: history.Failed, ID: id, Err: text(err)})
		pause(ctx, between(rng, 0, 50*time.Millisecond))
		return err
	}
	c.log.Tell(history.Event{What: history.Got, Kind: history.Mutex, Name: t.name, ID: id, Token: h.Token()})
	returned := c.working(ctx, rng, id, t, h)
	c.log.Tell(history.Event{What: history.Give, ID: id})
	err = h.Unlock()
	if errors.Is(err, session.ErrLost) || errors.Is(err, adapters.ErrUnknown) || err == nil {
		c.log.Tell(history.Event{What: history.Gave, ID: id, Err: text(err)})
	} else {
		c.log.Tell(history.Event{What: history.Gave, ID: id, Err: "unexpected: " + text(err)})
	}
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
	for ctx.Err() == nil {
		id := c.log.Call(history.Election, name)
		stop := context.AfterFunc(ctx, func() { c.log.Tell(history.Event{What: history.Cancel, ID: id}) })
		terms, gives := 0, false
		err := e.Lead(ctx, func(ctx context.Context, term *election.Term) error {
			if terms++; terms > 1 { // it has lost the last one, and led again by itself
				id = c.log.Call(history.Election, name)
			}
			c.log.Tell(history.Event{What: history.Got, Kind: history.Election, Name: name, ID: id, Token: term.Token()})
			c.holds(ctx, rng, id, term, turn{name: name, work: between(rng, 100*time.Millisecond, time.Second), every: asks})
			if gives = term.Check() == nil; gives {
				c.log.Tell(history.Event{What: history.Give, ID: id})
			}
			return errResigned
		})
		stop()
		switch {
		case gives:
			c.log.Tell(history.Event{What: history.Gave, ID: id})
		case terms == 0:
			c.log.Tell(history.Event{What: history.Failed, ID: id, Err: text(err)})
		}
	}
}

var errResigned = errors.New("had enough")

// holds is the work under a place: it asks, and a moment after each yes writes to
// the resource, as work does. It returns when the place is lost, or it has worked
// for as long as it should.
func (c *client) holds(ctx context.Context, rng *rand.Rand, id uint64, p place, t turn) {
	c.log.Tell(history.Event{What: history.Working, ID: id})
	defer func() { c.log.Tell(history.Event{What: history.Rested, ID: id}) }()
	ctx, cancel := context.WithTimeout(ctx, t.work)
	defer cancel()
	ticks := time.NewTicker(t.every)
	defer ticks.Stop()
	for {
		asked := history.Now()
		if err := p.Check(); err != nil {
			c.log.Tell(history.Event{What: history.Lost, ID: id, Err: text(err)})
			return
		}
		c.log.TellAt(asked, history.Event{What: history.Checked, ID: id})
		pause(ctx, between(rng, 0, t.every))
		c.resource.write(t.name, p.Token(), c.Proc)
		select {
		case <-ticks.C:
		case <-p.Context().Done():
			c.log.Tell(history.Event{What: history.Lost, ID: id, Err: text(context.Cause(p.Context()))})
			return
		case <-ctx.Done():
			return
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
			return
		}
		c.log.Tell(history.Event{What: history.Saw, Name: name, Token: leader.Token, Value: leader.Value})
	}
}
