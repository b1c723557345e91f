// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/quorate/quorate/adapters/consul"
)

// consulClient makes a client with connections of its own, which closing ends.
// Its token and the like come from the usual CONSUL_... variables.
func consulClient(b *bed) (*api.Client, func(), error) {
	cfg := api.DefaultConfig()
	cfg.Address = b.endpoint
	client, err := api.NewClient(cfg)
	return client, cfg.Transport.CloseIdleConnections, err
}

// consulVersion asks the server, which also shows that it is there.
func consulVersion(ctx context.Context, b *bed) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client, done, err := consulClient(b)
	if err != nil {
		return "", err
	}
	defer done()
	if _, err := client.Status().LeaderWithQueryOptions(new(api.QueryOptions).WithContext(ctx)); err != nil {
		return "", fmt.Errorf("Consul at %s: %w", b.endpoint, err)
	}
	self, err := client.Agent().Self()
	if err != nil {
		return "unknown", nil // it takes a right that nothing else needs
	}
	return fmt.Sprint(self["Config"]["Version"]), nil
}

// bystanders are keys that stand there all the time, as other sessions' do in
// real life. When a client leaves that waits for a key, its query stays in the
// server for a minute. If the key is gone too, the query wakes at each write
// below the node of the server's tree where the key would be, and without these
// that is each write to the store: sessions that have closed would slow down
// what is measured next, by half of a bare commit and more.
var bystanders = []string{prefix + "/bench", prefix + "/inbox/bench", prefix + "/session/bench", prefix + "/mutex/bench"}

func consulPrepare(ctx context.Context, b *bed) error {
	client, done, err := consulClient(b)
	if err != nil {
		return err
	}
	defer done()
	for _, key := range bystanders {
		if _, err := client.KV().Put(&api.KVPair{Key: key}, new(api.WriteOptions).WithContext(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// consulClean removes them and what the adapter keeps for itself, which is of
// this run alone.
func consulClean(ctx context.Context, b *bed) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	client, done, err := consulClient(b)
	if err != nil {
		return err
	}
	defer done()
	w := new(api.WriteOptions).WithContext(ctx)
	var errs []error
	for _, key := range append([]string{b.node + "/node"}, bystanders...) {
		_, err := client.KV().Delete(key, w)
		errs = append(errs, err)
	}
	_, err = client.Catalog().Deregister(&api.CatalogDeregistration{Node: b.node}, w)
	return errors.Join(append(errs, err)...)
}

func quorateOnConsul(ctx context.Context, b *bed, name string) (contender, error) {
	client, done, err := consulClient(b)
	if err != nil {
		return contender{}, err
	}
	store, err := consul.New(client, &consul.Options{Node: b.node})
	if err != nil {
		return contender{}, err
	}
	c, err := quorateMutex(ctx, store, name)
	if err != nil {
		done()
		return contender{}, err
	}
	closeSession := c.close
	c.close = func() error {
		defer done()
		return closeSession()
	}
	c.queued = func(ctx context.Context) (int, error) {
		keys, _, err := client.KV().Keys(slots(name), "", new(api.QueryOptions).WithContext(ctx))
		return len(keys), err
	}
	return c, nil
}

// apiLock makes a contender of Consul's own recipe as its users have it: with
// a session for each acquisition, which is the recipe's default. Without a lock
// delay, since that is meant for holders that die, and none does here.
func apiLock(_ context.Context, b *bed, name string) (contender, error) {
	client, done, err := consulClient(b)
	if err != nil {
		return contender{}, err
	}
	key := prefix + "/" + name
	l, err := client.LockOpts(&api.LockOptions{
		Key: key, SessionName: key, SessionTTL: leaseTTL.String(),
		LockDelay: -1, // 0 would be left out, and mean 15 s
	})
	if err != nil {
		done()
		return contender{}, err
	}
	lock := func(ctx context.Context) (func() error, error) {
		lost, err := l.Lock(ctx.Done())
		if err == nil && lost == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return nil, err
		}
		return l.Unlock, nil
	}
	return contender{
		lock: lock,
		close: func() error {
			defer done()
			_, err := client.KV().Delete(key, nil)
			return err
		},
		queued: func(ctx context.Context) (int, error) {
			all, _, err := client.Session().List(new(api.QueryOptions).WithContext(ctx))
			n := 0
			for _, s := range all {
				if s.Name == key {
					n++
				}
			}
			return n, err
		},
	}, nil
}
