// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptrace"
	"time"

	"github.com/hashicorp/consul/api"
)

// consulTwoCommits measures what a free Lock and Unlock cannot do without: a
// transaction that puts a new key on a session, and one that deletes it.
func consulTwoCommits(ctx context.Context, b *bed, d time.Duration) (_ figure, err error) {
	client, done, err := consulClient(b)
	if err != nil {
		return figure{}, err
	}
	defer done()
	id, destroy, err := consulSession(ctx, client)
	if err != nil {
		return figure{}, err
	}
	defer func() { err = errors.Join(err, destroy()) }()
	key := prefix + "/" + b.name()
	return latency(ctx, d, timed(func() error {
		if err := consulCommit(ctx, client, api.KVTxnOp{Verb: api.KVLock, Key: key, Session: id, Value: []byte(bareValue)}); err != nil {
			return err
		}
		return consulCommit(ctx, client, api.KVTxnOp{Verb: api.KVDelete, Key: key})
	}))
}

// consulSeenCommit measures one bare commit, from the call until a blocking
// query of another client, which is under way already, returns with it.
// Every hand-over contains that.
func consulSeenCommit(rest time.Duration) measurement {
	return func(ctx context.Context, b *bed, d time.Duration) (_ figure, err error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		writer, done, err := consulClient(b)
		if err != nil {
			return figure{}, err
		}
		defer done()
		reader, done, err := consulClient(b)
		if err != nil {
			return figure{}, err
		}
		defer done()
		id, destroy, err := consulSession(ctx, writer)
		if err != nil {
			return figure{}, err
		}
		defer func() { err = errors.Join(err, destroy()) }()
		key := prefix + "/" + b.name()
		n := uint64(0)
		write := func() error {
			n++ // a key that is written as it was does not change
			return consulCommit(ctx, writer, api.KVTxnOp{Verb: api.KVLock, Key: key, Session: id, Value: []byte(bareValue), Flags: n})
		}
		if err := write(); err != nil {
			return figure{}, err
		}

		asked, seen := make(chan bool, 1), make(chan time.Time, 1)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			cancel(follow(ctx, reader, key, asked, seen))
		}()
		defer func() { cancel(nil); <-ended }()
		next := func(ch <-chan bool) error {
			select {
			case <-ch:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return latency(ctx, d, func() (time.Duration, error) {
			if err := next(asked); err != nil {
				return 0, err
			}
			pause(ctx, rest)
			began := time.Now()
			if err := write(); err != nil {
				return 0, err
			}
			select {
			case at := <-seen:
				return at.Sub(began), nil
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
		})
	}
}

// follow waits for one change of key after the other. It tells when it has sent
// a query that waits, and then when that returned.
func follow(ctx context.Context, client *api.Client, key string, asked chan<- bool, seen chan<- time.Time) error {
	tell := func(httptrace.WroteRequestInfo) {
		select {
		case asked <- true:
		default: // it has been told, and nothing was written since
		}
	}
	var flags, index uint64
	for {
		q := (&api.QueryOptions{RequireConsistent: true, WaitIndex: index, WaitTime: time.Minute}).WithContext(ctx)
		if index != 0 {
			q = q.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: tell}))
		}
		kv, meta, err := client.KV().Get(key, q)
		at := time.Now()
		switch {
		case err != nil:
			return err
		case kv == nil:
			return fmt.Errorf("key %q is not there", key)
		case index != 0 && kv.Flags != flags:
			seen <- at
		}
		flags, index = kv.Flags, meta.LastIndex
	}
}

// consulSession makes a session that nobody renews, longer than any measurement.
func consulSession(ctx context.Context, client *api.Client) (id string, destroy func() error, err error) {
	entry := &api.SessionEntry{Name: prefix, TTL: "600s", LockDelay: -1, Behavior: api.SessionBehaviorDelete}
	id, _, err = client.Session().Create(entry, new(api.WriteOptions).WithContext(ctx))
	return id, func() error {
		// Also after an interruption: it takes the key with it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_, err := client.Session().Destroy(id, new(api.WriteOptions).WithContext(ctx))
		return err
	}, err
}

// consulCommit makes the same request as the adapter does for a Commit.
func consulCommit(ctx context.Context, client *api.Client, op api.KVTxnOp) error {
	var resp api.TxnResponse
	_, err := client.Raw().Write("/v1/txn", api.TxnOps{{KV: &op}}, &resp, new(api.WriteOptions).WithContext(ctx))
	return err
}
