// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

var errEnough = errors.New("had enough")

// useDo has work done under one of the locks that useMutex locks too. Now and then
// Do's context ends in the middle of it, and the work takes its time to return:
// until it has, the lock must stay.
func useDo(ctx context.Context, c *client, rng *rand.Rand) {
	for ctx.Err() == nil {
		t := turn{
			name: fmt.Sprint("l", rng.IntN(locks)), every: asks,
			work: between(rng, 0, 40*time.Millisecond), lingers: between(rng, time.Millisecond, 15*time.Millisecond),
		}
		m, err := mutex.New(c.session, t.name, nil)
		if err != nil {
			panic(err)
		}
		all, cancel := context.WithTimeout(ctx, between(rng, 50*time.Millisecond, 3*time.Second))
		cut := time.Hour
		if rng.IntN(2) == 0 {
			cut = between(rng, 0, t.work+time.Millisecond)
		}
		err = c.runs(all, rng, history.Mutex, t, func(work func(context.Context, place) error) error {
			return m.Do(all, func(ctx context.Context, h *mutex.Hold) error {
				defer time.AfterFunc(cut, cancel).Stop()
				return work(ctx, h)
			})
		})
		cancel()
		if errors.Is(err, session.ErrClosed) {
			return
		}
		pause(ctx, between(rng, 0, 20*time.Millisecond))
	}
}

// runs tells of what waits for a place, runs work under it, gives it back when that
// has returned, and does all of it again when the place was lost, as Do and Lead do
// until their context ends, which is ctx. It returns what they return.
func (c *client) runs(ctx context.Context, rng *rand.Rand, kind string, t turn, run func(work func(context.Context, place) error) error) error {
	var id atomic.Uint64
	id.Store(c.log.Call(kind, t.name))
	defer context.AfterFunc(ctx, func() { c.log.Tell(history.Event{What: history.Cancel, ID: id.Load()}) })()
	gives := false
	err := run(func(ctx context.Context, p place) error {
		if gives { // it was lost in the last moment, or would not run again
			c.log.Tell(history.Event{What: history.Gave, ID: id.Load(), Err: text(session.ErrLost)})
			id.Store(c.log.Call(kind, t.name))
		}
		c.log.Tell(history.Event{What: history.Got, Kind: kind, Name: t.name, ID: id.Load(), Token: p.Token()})
		c.holds(ctx, rng, id.Load(), p, t)
		err := p.Check()
		if gives = err == nil; !gives {
			id.Store(c.log.Call(kind, t.name))
			return err
		}
		c.log.Tell(history.Event{What: history.Give, ID: id.Load()})
		return errEnough
	})
	e := history.Event{What: history.Failed, ID: id.Load(), Err: c.told(ctx, err, session.ErrLost, session.ErrClosed)}
	switch {
	case gives && errors.Is(err, errEnough):
		e.What, e.Err = history.Gave, ""
	case gives:
		e.What = history.Gave
	}
	c.log.Tell(e)
	if !gives {
		pause(ctx, between(rng, 0, 50*time.Millisecond))
	}
	return err
}
