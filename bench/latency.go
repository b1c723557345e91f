// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// warmUp is what a measurement of length d leaves out at its beginning, in
// which connections and heaps grow.
func warmUp(d time.Duration) time.Duration { return max(d/10, 50*time.Millisecond) }

// latency calls op over and over for half of d, and returns the median of what
// op says that it took. Not the mean: one collection of garbage in a thousand
// calls is the machine's, not op's.
func latency(ctx context.Context, d time.Duration, op func() (time.Duration, error)) (figure, error) {
	d /= 2
	var took []time.Duration
	warm := time.Now().Add(warmUp(d))
	end := warm.Add(d)
	for now := time.Now(); now.Before(end); now = time.Now() {
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
	if len(took) == 0 {
		return figure{}, fmt.Errorf("nothing was done in %v", d)
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

// twoCommits measures what a free Lock and Unlock cannot do without: a
// transaction that creates a leased key, and one that deletes it.
func twoCommits(ctx context.Context, b *bed, d time.Duration) (_ figure, err error) {
	client, err := b.client()
	if err != nil {
		return figure{}, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	lease, revoke, err := grant(ctx, client)
	if err != nil {
		return figure{}, err
	}
	defer func() { err = errors.Join(err, revoke()) }()
	key := prefix + "/" + b.name()
	return latency(ctx, d, timed(func() error {
		if err := commit(ctx, client, clientv3.OpPut(key, bareValue, clientv3.WithLease(lease))); err != nil {
			return err
		}
		return commit(ctx, client, clientv3.OpDelete(key))
	}))
}

// seenCommit measures one bare commit, from the call until another client's
// watch, which is there already, has the event. Every hand-over contains that.
func seenCommit(ctx context.Context, b *bed, d time.Duration) (_ figure, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	writer, err := b.client()
	if err != nil {
		return figure{}, err
	}
	defer func() { err = errors.Join(err, writer.Close()) }()
	reader, err := b.client()
	if err != nil {
		return figure{}, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	lease, revoke, err := grant(ctx, writer)
	if err != nil {
		return figure{}, err
	}
	defer func() { err = errors.Join(err, revoke()) }()
	key := prefix + "/" + b.name()
	events := reader.Watch(ctx, key, clientv3.WithCreatedNotify())
	if resp := <-events; !resp.Created {
		return figure{}, fmt.Errorf("watch: %w", resp.Err())
	}
	seen := make(chan time.Time) // closed when the watch ended
	go func() {
		defer close(seen)
		for resp := range events {
			at := time.Now()
			for range resp.Events {
				select {
				case seen <- at:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return latency(ctx, d, func() (time.Duration, error) {
		began := time.Now()
		if err := commit(ctx, writer, clientv3.OpPut(key, bareValue, clientv3.WithLease(lease))); err != nil {
			return 0, err
		}
		at, ok := <-seen
		if !ok {
			return 0, errors.New("the watch ended")
		}
		return at.Sub(began), nil
	})
}

// grant makes a lease that nobody renews, longer than any measurement.
func grant(ctx context.Context, client *clientv3.Client) (id clientv3.LeaseID, revoke func() error, err error) {
	lease, err := client.Grant(ctx, 600)
	if err != nil {
		return 0, nil, err
	}
	return lease.ID, func() error {
		// Also after an interruption: it takes the key with it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_, err := client.Revoke(ctx, lease.ID)
		return err
	}, nil
}

// bareValue is about as long as what a lock stores.
const bareValue = `{"v":1,"session":"0123456789abcdef0123456789abcdef"}`

func commit(ctx context.Context, client *clientv3.Client, op clientv3.Op) error {
	_, err := client.Txn(ctx).Then(op).Commit()
	return err
}
