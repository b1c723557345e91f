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
	var (
		stop, held atomic.Bool
		counts     = make([]atomic.Int64, len(cs))
		wg         sync.WaitGroup
	)
	for i, c := range cs {
		wg.Go(func() {
			for !stop.Load() {
				if err := once(ctx, c, &held); err != nil {
					cancel(err) // the first error is the cause; the others follow from it
					return
				}
				counts[i].Add(1)
			}
		})
	}
	count := func() (time.Time, []int64) {
		now := make([]int64, len(cs))
		for i := range counts {
			now[i] = counts[i].Load()
		}
		return time.Now(), now
	}
	pause(ctx, warmUp(d))
	from, before := count()
	pause(ctx, d)
	to, after := count()
	stop.Store(true)
	wg.Wait()
	if ctx.Err() != nil {
		return figure{}, context.Cause(ctx)
	}
	return shares(to.Sub(from), before, after)
}

// once is one acquisition. It makes sure that nobody else has the lock.
func once(ctx context.Context, c contender, held *atomic.Bool) error {
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	if !held.CompareAndSwap(false, true) {
		return errors.New("two holders at the same time")
	}
	held.Store(false)
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
