// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// bed is what measurements run on: a backend that serves somewhere.
type bed struct {
	backend  *backend
	endpoint string
	node     string // Consul's: the catalog node that our leases hang on
	names    int
}

// prefix is where everything is written.
const prefix = "quorate-bench"

// leaseTTL is the TTL of all leases, ours and the peers'. It is long, so that
// a measurement has no renewals in it, whose number depends on the TTL alone.
const leaseTTL = time.Minute

// name returns one that nobody has used.
func (b *bed) name() string {
	b.names++
	return fmt.Sprintf("%d-%d", time.Now().UnixNano(), b.names)
}

// A contender is one session and one lock on it.
type contender struct {
	lock  func(ctx context.Context) (unlock func() error, err error)
	close func() error
	// queued counts who holds this lock or waits for it, as the backend sees it.
	queued func(ctx context.Context) (int, error)
}

type contenders []contender

// atOnce is how many contenders are opened and closed at the same time.
const atOnce = 16

// close closes all of them and returns their errors.
func (cs contenders) close() error {
	errs := make([]error, len(cs))
	inParallel(len(cs), func(i int) {
		if cs[i].close != nil {
			errs[i] = cs[i].close()
		}
	})
	return errors.Join(errs...)
}

func inParallel(n int, do func(i int)) {
	var wg sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for i := range n {
		places <- struct{}{}
		wg.Go(func() {
			do(i)
			<-places
		})
	}
	wg.Wait()
}

// An opener makes a contender for the lock called name, with a client of its own.
type opener func(ctx context.Context, b *bed, name string) (contender, error)

// contenders opens n of them for one new lock.
func (b *bed) contenders(ctx context.Context, open opener, n int) (contenders, error) {
	name := b.name()
	cs, errs := make(contenders, n), make([]error, n)
	inParallel(n, func(i int) { cs[i], errs[i] = open(ctx, b, name) })
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, cs.close())
	}
	return cs, nil
}

// quorateMutex makes a contender on a store of its own, as in a process of its own.
func quorateMutex(ctx context.Context, store adapters.Store, name string) (contender, error) {
	sess, err := session.Open(ctx, store, &session.Options{Prefix: prefix, TTL: leaseTTL})
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
		return func() error {
			err := hold.Unlock()
			if errors.Is(err, adapters.ErrUnknown) {
				return nil // it goes on by itself, and takes the time that it takes
			}
			return err
		}, nil
	}
	return contender{lock: lock, close: sess.Close}, nil
}

// slots is where the contenders of ours for that lock stand.
func slots(name string) string { return prefix + "/mutex/" + name + "/" }
