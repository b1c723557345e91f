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

// etcdTwoCommits measures what a free Lock and Unlock cannot do without: a
// transaction that creates a leased key, and one that deletes it.
func etcdTwoCommits(ctx context.Context, b *bed, d time.Duration) (_ figure, err error) {
	client, err := etcdClient(b)
	if err != nil {
		return figure{}, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	lease, revoke, err := etcdGrant(ctx, client)
	if err != nil {
		return figure{}, err
	}
	defer func() { err = errors.Join(err, revoke()) }()
	key := prefix + "/" + b.name()
	return latency(ctx, d, timed(func() error {
		if err := etcdCommit(ctx, client, clientv3.OpPut(key, bareValue, clientv3.WithLease(lease))); err != nil {
			return err
		}
		return etcdCommit(ctx, client, clientv3.OpDelete(key))
	}))
}

// etcdSeenCommit measures one bare commit, from the call until another
// client's watch, which is there already, has the event. Every hand-over
// contains that.
func etcdSeenCommit(rest time.Duration) measurement {
	return func(ctx context.Context, b *bed, d time.Duration) (_ figure, err error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		writer, err := etcdClient(b)
		if err != nil {
			return figure{}, err
		}
		defer func() { err = errors.Join(err, writer.Close()) }()
		reader, err := etcdClient(b)
		if err != nil {
			return figure{}, err
		}
		defer func() { err = errors.Join(err, reader.Close()) }()
		lease, revoke, err := etcdGrant(ctx, writer)
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
			pause(ctx, rest)
			began := time.Now()
			if err := etcdCommit(ctx, writer, clientv3.OpPut(key, bareValue, clientv3.WithLease(lease))); err != nil {
				return 0, err
			}
			at, ok := <-seen
			if !ok {
				return 0, errors.New("the watch ended")
			}
			return at.Sub(began), nil
		})
	}
}

// etcdGrant makes a lease that nobody renews, longer than any measurement.
func etcdGrant(ctx context.Context, client *clientv3.Client) (id clientv3.LeaseID, revoke func() error, err error) {
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

func etcdCommit(ctx context.Context, client *clientv3.Client, op clientv3.Op) error {
	_, err := client.Txn(ctx).Then(op).Commit()
	return err
}
