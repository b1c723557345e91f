// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"github.com/quorate/quorate/adapters/etcd"
)

func etcdClient(b *bed) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints:   strings.Split(b.endpoint, ","),
		DialTimeout: 10 * time.Second,
		Logger:      zap.NewNop(),
	})
}

// etcdVersion asks the server, which also shows that it is there.
func etcdVersion(ctx context.Context, b *bed) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client, err := etcdClient(b)
	if err != nil {
		return "", err
	}
	defer client.Close()
	st, err := client.Status(ctx, client.Endpoints()[0])
	if err != nil {
		return "", fmt.Errorf("etcd at %s: %w", b.endpoint, err)
	}
	return st.Version, nil
}

// onEtcd gives a contender the client that it is made on: it closes it, and
// counts by it who queues below dir.
func onEtcd(b *bed, dir string, open func(*clientv3.Client) (contender, error)) (contender, error) {
	client, err := etcdClient(b)
	if err != nil {
		return contender{}, err
	}
	c, err := open(client)
	if err != nil {
		return contender{}, errors.Join(err, client.Close())
	}
	closeSession := c.close
	c.close = func() error { return errors.Join(closeSession(), client.Close()) }
	c.queued = func(ctx context.Context) (int, error) {
		resp, err := client.Get(ctx, dir, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return 0, err
		}
		return int(resp.Count), nil
	}
	return c, nil
}

func quorateOnEtcd(ctx context.Context, b *bed, name string) (contender, error) {
	return onEtcd(b, slots(name), func(client *clientv3.Client) (contender, error) {
		store, err := etcd.New(client, nil)
		if err != nil {
			return contender{}, err
		}
		return quorateMutex(ctx, store, name)
	})
}

func concurrencyMutex(ctx context.Context, b *bed, name string) (contender, error) {
	key := prefix + "/" + name
	return onEtcd(b, key+"/", func(client *clientv3.Client) (contender, error) {
		sess, err := concurrency.NewSession(client, concurrency.WithTTL(int(leaseTTL.Seconds())))
		if err != nil {
			return contender{}, err
		}
		mu := concurrency.NewMutex(sess, key)
		lock := func(ctx context.Context) (func() error, error) {
			if err := mu.Lock(ctx); err != nil {
				return nil, err
			}
			return func() error { return mu.Unlock(context.WithoutCancel(ctx)) }, nil
		}
		return contender{lock: lock, close: sess.Close}, nil
	})
}
