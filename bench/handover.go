// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// An arrival is what a contender's call of lock returned, and when.
type arrival struct {
	who    int
	at     time.Time
	unlock func() error
	err    error
}

// handOver measures how long it takes from a call of Unlock until the Lock of
// one of n waiters returns. They belong to as many sessions as given, the
// holder to one of those. After each hand-over the one that has unlocked queues
// again, and all of them get the time to come to rest.
func handOver(open opener, n, sessions int, rest time.Duration) measurement {
	return func(ctx context.Context, b *bed, d time.Duration) (_ figure, err error) {
		cs, err := b.contenders(ctx, open, sessions)
		if err != nil {
			return figure{}, err
		}
		defer func() { err = errors.Join(err, cs.close()) }()
		all := slices.Repeat(cs, (n+sessions)/sessions)[:n+1]
		return passOn(ctx, all, d, rest)
	}
}

// passOn lets one of cs hold the lock and all others wait, and passes it on for d.
func passOn(ctx context.Context, cs contenders, d, rest time.Duration) (figure, error) {
	waiting, leave := context.WithCancel(ctx)
	arrivals := make(chan arrival, len(cs)) // so that nobody blocks who comes late
	var wg sync.WaitGroup
	queue := func(i int) {
		wg.Go(func() {
			unlock, err := cs[i].lock(waiting)
			arrivals <- arrival{i, time.Now(), unlock, err}
		})
	}
	none := func() error { return nil }
	holder := arrival{unlock: none}
	next := func() error {
		select {
		case holder = <-arrivals:
			if holder.err != nil {
				holder.unlock = none
			}
			return holder.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	// Whatever happens, nobody is left in the queue or with the lock.
	defer func() {
		leave()
		_ = holder.unlock()
		wg.Wait()
		for len(arrivals) > 0 {
			if late := <-arrivals; late.err == nil {
				_ = late.unlock()
			}
		}
	}()

	queue(0)
	if err := next(); err != nil {
		return figure{}, err
	}
	for i := range cs[1:] {
		queue(i + 1)
		if n := i + 2; n%atOnce == 0 || n == len(cs) { // a crowd that comes at once is another subject
			if err := cs.queue(ctx, n); err != nil {
				return figure{}, err
			}
		}
	}
	pause(ctx, max(10*rest, time.Duration(len(cs))*time.Millisecond))
	return latency(ctx, d, func() (time.Duration, error) {
		pause(ctx, rest)
		if len(arrivals) > 0 {
			if late := <-arrivals; late.err != nil {
				return 0, late.err
			}
			return 0, errors.New("two holders at the same time")
		}
		last, unlock := holder.who, holder.unlock
		holder.unlock = none
		began := time.Now()
		if err := unlock(); err != nil {
			return 0, err
		}
		if err := next(); err != nil {
			return 0, err
		}
		queue(last)
		return holder.at.Sub(began), nil
	})
}

// queue waits until n are in the queue.
func (cs contenders) queue(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for before := 0; ; pause(ctx, 5*time.Millisecond) {
		now, err := cs[0].queued(ctx)
		if err != nil {
			return fmt.Errorf("%d of %d are queued: %w", before, n, err)
		}
		if now >= n {
			return nil
		}
		before = now
	}
}
