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
	asks      = 5 * time.Millisecond // how often a holder asks
)

// place is what the workloads need of a hold or a term.
type place interface {
	Check() error
	Token() uint64
	Context() context.Context
}

// useMutex locks one of a few names, again and again, and now and then gives up
// waiting.
func useMutex(ctx context.Context, c *client, rng *rand.Rand) {
	for ctx.Err() == nil {
		name := fmt.Sprint("l", rng.IntN(locks))
		m, err := mutex.New(c.session, name, nil)
		if err != nil {
			panic(err)
		}
		id := c.log.Call(history.Mutex, name)
		wait, cancel := context.WithTimeout(ctx, between(rng, 50*time.Millisecond, 3*time.Second))
		stop := context.AfterFunc(wait, func() { c.log.Tell(history.Event{What: history.Cancel, ID: id}) })
		h, err := m.Lock(wait)
		stop()
		cancel()
		if err != nil {
			c.log.Tell(history.Event{What: history.Failed, ID: id, Err: text(err)})
			if errors.Is(err, session.ErrClosed) {
				return
			}
			pause(ctx, between(rng, 0, 50*time.Millisecond))
			continue
		}
		c.log.Tell(history.Event{What: history.Got, Kind: history.Mutex, Name: name, ID: id, Token: h.Token()})
		c.holds(ctx, id, name, h, between(rng, 0, 40*time.Millisecond))
		c.log.Tell(history.Event{What: history.Give, ID: id})
		err = h.Unlock()
		if errors.Is(err, session.ErrLost) || errors.Is(err, adapters.ErrUnknown) || err == nil {
			c.log.Tell(history.Event{What: history.Gave, ID: id, Err: text(err)})
		} else {
			c.log.Tell(history.Event{What: history.Gave, ID: id, Err: "unexpected: " + text(err)})
		}
		pause(ctx, between(rng, 0, 20*time.Millisecond))
	}
}

// useElection leads, and resigns after a while.
func useElection(ctx context.Context, c *client, rng *rand.Rand) {
	name := fmt.Sprint("e", rng.IntN(elections))
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
			c.holds(ctx, id, name, term, between(rng, 100*time.Millisecond, time.Second))
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

// holds is the work under a place: it asks, and after each yes writes to the
// resource. It returns when the place is lost, or it has had it for that long.
func (c *client) holds(ctx context.Context, id uint64, name string, p place, d time.Duration) {
	c.log.Tell(history.Event{What: history.Working, ID: id})
	defer func() { c.log.Tell(history.Event{What: history.Rested, ID: id}) }()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	ticks := time.NewTicker(asks)
	defer ticks.Stop()
	for {
		asked := history.Now()
		if err := p.Check(); err != nil {
			c.log.Tell(history.Event{What: history.Lost, ID: id, Err: text(err)})
			return
		}
		c.log.TellAt(asked, history.Event{What: history.Checked, ID: id})
		c.resource.write(name, p.Token(), c.Proc)
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
