// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// loop measures n sessions that lock and unlock one lock for d, as fast as they
// can. Each has a client, a connection and a lease of its own, as n processes
// would.
func loop(open opener, n int) measurement {
	return func(ctx context.Context, b *bed, d time.Duration) (_ figure, err error) {
		cs, err := b.contenders(ctx, open, n)
		if err != nil {
			return figure{}, err
		}
		defer func() { err = errors.Join(err, cs.close()) }()
		return race(ctx, cs, d)
	}
}

// race lets cs loop and counts acquisitions, after a warm-up, for d.
func race(ctx context.Context, cs contenders, d time.Duration) (figure, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	waiting, leave := context.WithCancel(ctx)
	defer leave()
	var (
		stop   atomic.Bool
		r      referee
		counts = make([]atomic.Int64, len(cs))
		wg     sync.WaitGroup
	)
	for i, c := range cs {
		wg.Go(func() {
			for !stop.Load() {
				err := r.once(waiting, i, c)
				switch {
				case err == nil:
					counts[i].Add(1)
				case stop.Load() && errors.Is(err, context.Canceled):
					return // it waited when the race was over
				default:
					cancel(err) // the first error is the cause; the others follow from it
					return
				}
			}
		})
	}
	count := func() (time.Time, int64, []int64) {
		now := make([]int64, len(cs))
		for i := range counts {
			now[i] = counts[i].Load()
		}
		return time.Now(), r.turns.Load(), now
	}
	pause(ctx, warmUp(d))
	from, turnsBefore, before := count()
	pause(ctx, d)
	to, turnsAfter, after := count()
	stop.Store(true)
	leave() // some would wait for seconds yet
	wg.Wait()
	if ctx.Err() != nil {
		return figure{}, context.Cause(ctx)
	}
	f, err := shares(to.Sub(from), before, after)
	f.turns = float64(turnsAfter-turnsBefore) / to.Sub(from).Seconds()
	return f, err
}

// A referee sees who holds the lock.
type referee struct {
	held  atomic.Bool
	last  atomic.Int64 // who held it last, from 1
	turns atomic.Int64 // how often that was somebody else than before
}

// once is one acquisition of contender i. It makes sure that nobody else has the lock.
func (r *referee) once(ctx context.Context, i int, c contender) error {
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	if !r.held.CompareAndSwap(false, true) {
		return errors.New("two holders at the same time")
	}
	if who := int64(i + 1); r.last.Swap(who) != who {
		r.turns.Add(1)
	}
	r.held.Store(false)
	return unlock()
}

// shares makes a figure of how often each had the lock.
func shares(took time.Duration, before, after []int64) (figure, error) {
	var total, least, most int64
	for i := range after {
		n := after[i] - before[i]
		total += n
		if i == 0 || n < least {
			least = n
		}
		most = max(most, n)
	}
	if total == 0 {
		return figure{}, fmt.Errorf("no acquisition in %v", took)
	}
	return figure{per: took / time.Duration(total), n: int(total), share: float64(least) / float64(most)}, nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
