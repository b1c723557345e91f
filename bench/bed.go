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
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// bed is what measurements run on.
type bed struct {
	endpoint string
	names    int
}

// prefix is where everything is written.
const prefix = "quorate-bench"

// name returns one that nobody has used.
func (b *bed) name() string {
	b.names++
	return fmt.Sprintf("%d-%d", time.Now().UnixNano(), b.names)
}

func (b *bed) client() (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints:   strings.Split(b.endpoint, ","),
		DialTimeout: 10 * time.Second,
		Logger:      zap.NewNop(),
	})
}

// version asks the server, which also shows that it is there.
func (b *bed) version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client, err := b.client()
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

// A contender is one session and one lock on it.
type contender struct {
	lock  func(ctx context.Context) (unlock func() error, err error)
	close func() error
}

type contenders []contender

func (cs contenders) close() error {
	var errs []error
	for _, c := range cs {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

// An opener makes a contender for the lock called name, with a client of its own.
type opener func(ctx context.Context, client *clientv3.Client, name string) (contender, error)

// contenders opens n of them for one new lock.
func (b *bed) contenders(ctx context.Context, open opener, n int) (contenders, error) {
	var cs contenders
	name := b.name()
	for range n {
		client, err := b.client()
		if err != nil {
			return nil, errors.Join(err, cs.close())
		}
		c, err := open(ctx, client, name)
		if err != nil {
			return nil, errors.Join(err, client.Close(), cs.close())
		}
		closeSession := c.close
		c.close = func() error { return errors.Join(closeSession(), client.Close()) }
		cs = append(cs, c)
	}
	return cs, nil
}

func quorateMutex(ctx context.Context, client *clientv3.Client, name string) (contender, error) {
	store, err := etcd.New(client, nil)
	if err != nil {
		return contender{}, err
	}
	sess, err := session.Open(ctx, store, &session.Options{Prefix: prefix})
	if err != nil {
		return contender{}, err
	}
	mu, err := mutex.New(sess, name, nil)
	if err != nil {
		return contender{}, errors.Join(err, sess.Close())
	}
	lock := func(ctx context.Context) (func() error, error) {
		hold, err := mu.Lock(ctx)
		if err != nil {
			return nil, err
		}
		return hold.Unlock, nil
	}
	return contender{lock, sess.Close}, nil
}

func peerMutex(_ context.Context, client *clientv3.Client, name string) (contender, error) {
	sess, err := concurrency.NewSession(client)
	if err != nil {
		return contender{}, err
	}
	mu := concurrency.NewMutex(sess, prefix+"/"+name)
	lock := func(ctx context.Context) (func() error, error) {
		if err := mu.Lock(ctx); err != nil {
			return nil, err
		}
		return func() error { return mu.Unlock(ctx) }, nil
	}
	return contender{lock, sess.Close}, nil
}
