// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/session"
)

// What a client can be told to have, to see that it is convicted. All of it is
// outside the product: a store and a clock that lie to it, and work that does
// not keep the rules.
const (
	plantNone     = "nothing" // the same work, without a defect
	plantReceipt  = "deadline from receipt"
	plantUnfenced = "unfenced resource" // of the resource, not of the client
	plantNeighbor = "neighbour early"
	plantRelease  = "release before work returned"
	plantMutex    = "concurrency.Mutex"
	plantLock     = "api.Lock"
	plantHidden   = "hidden deletes"
	plantDeaf     = "deaf calls"
	plantEnd      = "bad end"
	plantNoneFast = "nothing, in short turns"
)

// planted is what clients with a plant do: all of them have locks that they keep
// for long, and many wait for each.
var planted = map[string][]workload{
	plantNone:     keepers,
	plantReceipt:  keepers,
	plantUnfenced: keepers,
	plantNeighbor: keepers,
	plantRelease:  keepers,
	plantMutex:    {{"their mutex", useTheirMutex, plantedNames}},
	plantLock:     {{"their lock", useTheirLock, plantedNames}},
	plantHidden:   shortTurns,
	plantDeaf:     shortTurns,
	plantEnd:      shortTurns,
	plantNoneFast: shortTurns,
}

const (
	plantedNames = 8
	keptFrom     = 3 // TTLs
	keptTo       = 6
)

var keepers = []workload{
	{"keepers", keeper(plantedNames, keptFrom, keptTo), 2 * plantedNames},
	{"session", useSession, 1},
}

// exitPlanted is the status with which a client with a bad end ends.
const exitPlanted = 3

// keepsAll gives no lease back, although it says so.
type keepsAll struct{ adapters.Store }

func (keepsAll) Revoke(context.Context, adapters.LeaseID) error { return nil }

// shortTurns hand locks over often, and some of those who wait give up.
var shortTurns = []workload{
	{"patient", takeTurns(0), 4},
	{"impatient", takeTurns(300 * time.Millisecond), 2},
	{"session", useSession, 1},
}

// takeTurns returns what locks two names for short, again and again, and waits for
// so long at most; 0 is until it has it.
func takeTurns(patience time.Duration) func(context.Context, *client, *rand.Rand) {
	return func(ctx context.Context, c *client, rng *rand.Rand) {
		for ctx.Err() == nil {
			wait, cancel := context.WithCancel(ctx)
			if patience > 0 {
				wait, cancel = context.WithTimeout(ctx, patience)
			}
			name := keptName(rng, 2)
			t := turn{name: name, lock: c.mutex(name), work: between(rng, 20*time.Millisecond, 60*time.Millisecond), every: keeperAsks}
			err := c.take(ctx, wait, rng, t)
			cancel()
			if errors.Is(err, session.ErrClosed) {
				return
			}
		}
	}
}

// spoil returns the store and the clock that the session gets.
func (o orders) spoil(s adapters.Store) (adapters.Store, session.Clock) {
	switch o.Plant {
	case plantReceipt:
		clock := &setBack{Clock: session.SystemClock()}
		return fromReceipt{s, clock, o.TTL}, clock
	case plantNeighbor:
		return onlyNeighbor{s}, nil
	case plantHidden:
		return &hidesDeletes{Store: s}, nil
	case plantDeaf:
		return deaf{s}, nil
	case plantEnd:
		return keepsAll{s}, nil
	}
	return s, nil
}

// setBack is a clock that can be set back.
type setBack struct {
	session.Clock
	by atomic.Int64
}

func (c *setBack) Now() time.Duration { return c.Clock.Now() - time.Duration(c.by.Load()) }

// fromReceipt makes of a lease that counts from when it was asked for one that
// counts from the answer: as much time as the answer took has not passed. It
// waits for late answers, as whoever counts so has no reason not to.
type fromReceipt struct {
	adapters.Store
	clock *setBack
	ttl   time.Duration
}

func (s fromReceipt) Grant(ctx context.Context, ttl time.Duration) (l adapters.Lease, err error) {
	s.call(ctx, func(ctx context.Context) error {
		l, err = s.Store.Grant(ctx, ttl)
		return err
	})
	return l, err
}

func (s fromReceipt) Renew(ctx context.Context, id adapters.LeaseID) (ttl time.Duration, err error) {
	s.call(ctx, func(ctx context.Context) error {
		ttl, err = s.Store.Renew(ctx, id)
		return err
	})
	return ttl, err
}

func (s fromReceipt) call(ctx context.Context, f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.ttl)
	defer cancel()
	asked := s.clock.Now()
	if f(ctx) == nil {
		s.clock.by.Add(int64(s.clock.Now() - asked))
	}
}

// onlyNeighbor answers whoever asks whether all those ahead of it are gone as if
// he had asked for the one just ahead of it, of whom he knows.
type onlyNeighbor struct{ adapters.Store }

func (s onlyNeighbor) Commit(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	if len(tx.Then) == 0 {
		var kept []adapters.Cond
		for _, c := range tx.If {
			if c.Kind != adapters.CondAbsent {
				kept = append(kept, c)
			}
		}
		tx.If = kept
	}
	return s.Store.Commit(ctx, tx)
}

// working has the work under a lock done. When it returns, the lock may be given
// back; the work has returned when the channel is closed, which is before that,
// but with the plant.
func (c *client) working(ctx context.Context, rng *rand.Rand, id uint64, t turn, h held) <-chan struct{} {
	returned := make(chan struct{})
	if c.Plant != plantRelease {
		c.holds(ctx, rng, id, h, t)
		close(returned)
		return returned
	}
	half := t.work / 2
	go func() {
		defer close(returned)
		c.holds(ctx, rng, id, careless{h, c.session}, t)
	}()
	pause(ctx, half)
	return returned
}

// careless is a place whose work does not ask about it, but about the session.
type careless struct {
	held
	session *session.Session
}

func (p careless) Check() error             { return p.session.Check() }
func (p careless) Context() context.Context { return context.Background() }
