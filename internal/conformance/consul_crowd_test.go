// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// A Consul agent takes 200 connections from one address, and over plain HTTP
// each blocking query is one.

// crowd counts the connections of a client, and the answers 429. It does so at
// the connection: an agent gives that answer unasked, and an HTTP client that
// has not sent its request by then reports something else.
type crowd struct {
	open, most, refused atomic.Int64
}

func (c *crowd) config(cfg *api.Config) *api.Config {
	cfg.Transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		now := c.open.Add(1)
		for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
		}
		return &counted{Conn: conn, crowd: c}, nil
	}
	return cfg
}

type counted struct {
	net.Conn
	crowd *crowd
	once  sync.Once
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if bytes.HasPrefix(b[:n], []byte("HTTP/1.1 429 ")) {
		c.crowd.refused.Add(1)
	}
	return n, err
}

func (c *counted) Close() error {
	c.once.Do(func() { c.crowd.open.Add(-1) })
	return c.Conn.Close()
}

// TestConsulCrowd: one process holds 300 locks and waits for 1,000 others, with
// one client over plain HTTP under the agent's default limit.
func TestConsulCrowd(t *testing.T) {
	const held, waited = 300, 1000
	c := servers.StartConsul(t, 1)
	var conns crowd
	cfg := conns.config(c.Config(0))
	t.Cleanup(cfg.Transport.CloseIdleConnections)
	client, err := api.NewClient(cfg)
	require.NoError(t, err)
	store, err := consul.New(client, nil)
	require.NoError(t, err)
	ours, err := session.Open(within(t, patience), store, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ours.Close()) })
	store2, err := consul.New(c.Client(t, 0), &consul.Options{MaxPolls: 1})
	require.NoError(t, err)
	theirs, err := session.Open(within(t, patience), store2, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, theirs.Close()) })

	holds := lockAll(t, ours, "held", held)
	blocking := lockAll(t, theirs, "waited", waited)
	got := make(chan error, 2*waited)
	for i := range waited {
		m, err := mutex.New(ours, fmt.Sprint("waited-", i), nil)
		require.NoError(t, err)
		go func() {
			h, err := m.Lock(within(t, 4*patience))
			if err == nil {
				err = settled(h.Unlock())
			}
			got <- err
		}()
	}
	queued(t, store, 2*waited+held)

	// Unlock first of all, while all wait: one after the other, then at once.
	var slowest time.Duration
	for _, h := range holds[:held/2] {
		began := time.Now()
		require.NoError(t, h.Unlock())
		slowest = max(slowest, time.Since(began))
	}
	began := time.Now()
	unlockAll(t, holds[held/2:])
	t.Logf("unlocked %d: the slowest of one after the other in %v, %d at once in %v", held, slowest, held/2, time.Since(began))
	require.Less(t, slowest, 5*time.Second)

	// Those who wait at the agent's side, and those who share, are all served.
	began = time.Now()
	for _, h := range blocking {
		go func() { got <- settled(h.Unlock()) }()
	}
	for range 2 * waited {
		require.NoError(t, <-got)
	}
	t.Logf("%d locks handed over in %v; %d connections at most, %d requests refused", waited, time.Since(began), conns.most.Load(), conns.refused.Load())
	require.Zero(t, conns.refused.Load())
	require.Less(t, conns.most.Load(), int64(150))
	require.NoError(t, ours.Check())
}

// settled takes it for granted that what goes on in the background is done: a
// thousand at once may take longer than one waits.
func settled(err error) error {
	if errors.Is(err, adapters.ErrUnknown) {
		return nil
	}
	return err
}

func lockAll(t testing.TB, s *session.Session, name string, n int) []*mutex.Hold {
	t.Helper()
	holds := make([]*mutex.Hold, n)
	for i := range holds {
		m, err := mutex.New(s, fmt.Sprint(name, "-", i), nil)
		require.NoError(t, err)
		holds[i], err = m.Lock(within(t, patience))
		require.NoError(t, err)
	}
	return holds
}

func unlockAll(t testing.TB, holds []*mutex.Hold) {
	t.Helper()
	errs := make(chan error)
	for _, h := range holds {
		go func() { errs <- h.Unlock() }()
	}
	for range holds {
		require.NoError(t, <-errs)
	}
}

// queued waits until so many slots are there.
func queued(t testing.TB, store *consul.Store, slots int) {
	t.Helper()
	for view, err := range store.Watch(within(t, 2*patience), "quorate/mutex/") {
		require.NoError(t, err)
		if len(view.KVs) == slots {
			return
		}
	}
}

// TestConsulCrowdOfApiLock shows that the limit is there, with Consul's own
// lock: each hold has a query of its own, so from about the two hundredth on
// none can be taken, and in a process that also waits none be released.
func TestConsulCrowdOfApiLock(t *testing.T) {
	const waits = 20
	c := servers.StartConsul(t, 1)
	var conns crowd
	cfg := conns.config(c.Config(0))
	t.Cleanup(cfg.Transport.CloseIdleConnections)
	client, err := api.NewClient(cfg)
	require.NoError(t, err)
	id, _, err := client.Session().CreateNoChecks(&api.SessionEntry{TTL: "60s", LockDelay: -1}, nil)
	require.NoError(t, err)
	var locks []*api.Lock
	for failed := error(nil); failed == nil; {
		require.Less(t, len(locks), 300, "the limit is not there")
		l, err := client.LockOpts(&api.LockOptions{Key: fmt.Sprint("api/", len(locks)), Session: id})
		require.NoError(t, err)
		if _, failed = l.Lock(nil); failed == nil {
			locks = append(locks, l)
		} else {
			require.Positive(t, conns.refused.Load(), "%v", failed)
		}
	}

	// Whoever waits comes again when refused, so no connection stays free.
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	refused := make(chan struct{}, 1)
	for range waits {
		wg.Go(func() {
			opts := (&api.QueryOptions{WaitTime: time.Minute}).WithContext(ctx)
			for ctx.Err() == nil {
				_, meta, err := client.KV().Get("api/0", opts)
				if err == nil {
					opts.WaitIndex = meta.LastIndex
					continue
				}
				select {
				case refused <- struct{}{}:
				default:
				}
			}
		})
	}
	for range waits {
		<-refused
	}
	var failed int
	for _, l := range locks {
		if l.Unlock() != nil {
			failed++
		}
	}
	stop()
	wg.Wait()
	t.Logf("api.Lock: number %d failed, then %d of %d could not be unlocked", len(locks)+1, failed, len(locks))
	require.Positive(t, failed)
}
