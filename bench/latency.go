// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"
)

// bareValue is about as long as what a lock stores.
const bareValue = `{"v":1,"session":"0123456789abcdef0123456789abcdef"}`

// warmUp is what a measurement of length d leaves out at its beginning, in
// which connections and heaps grow.
func warmUp(d time.Duration) time.Duration { return max(d/10, 50*time.Millisecond) }

// latency calls op over and over for half of d, or until it has been called
// once, and returns the median of what op says that it took. Not the mean: one
// collection of garbage in a thousand calls is the machine's, not op's.
func latency(ctx context.Context, d time.Duration, op func() (time.Duration, error)) (figure, error) {
	d /= 2
	var took []time.Duration
	warm := time.Now().Add(warmUp(d))
	end := warm.Add(d)
	for now := time.Now(); now.Before(end) || len(took) == 0; now = time.Now() {
		if ctx.Err() != nil {
			return figure{}, context.Cause(ctx)
		}
		t, err := op()
		if err != nil {
			return figure{}, err
		}
		if now.After(warm) {
			took = append(took, t)
		}
	}
	return figure{per: median(took), n: len(took)}, nil
}

// timed is op with a clock around it.
func timed(op func() error) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		began := time.Now()
		err := op()
		return time.Since(began), err
	}
}

// free measures a lock that nobody else wants.
func free(open opener) measurement {
	return func(ctx context.Context, b *bed, d time.Duration) (_ figure, err error) {
		cs, err := b.contenders(ctx, open, 1)
		if err != nil {
			return figure{}, err
		}
		defer func() { err = errors.Join(err, cs.close()) }()
		return latency(ctx, d, timed(func() error {
			unlock, err := cs[0].lock(ctx)
			if err != nil {
				return err
			}
			return unlock()
		}))
	}
}
