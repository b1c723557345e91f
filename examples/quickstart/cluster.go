// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/embedded"
	"github.com/quorate/quorate/adapters/etcd"
)

// A cluster is the etcd of a run: our own, or the user's.
type cluster struct {
	own    *embedded.Server // nil if it is the user's
	client *clientv3.Client
	store  *etcd.Store
	spec   clientv3.ConfigSpec // how workers connect
	prefix string
}

// patience is how long an endpoint may take to answer at the start.
const patience = 5 * time.Second

// openCluster starts an etcd or connects to the user's. It says which
// endpoints do not answer.
func openCluster(ctx context.Context, set settings, prefix string, warn func(format string, args ...any)) (*cluster, error) {
	c := &cluster{spec: set.spec, prefix: prefix}
	var err error
	if len(set.endpoints) == 0 {
		if c.own, err = embedded.Start(ctx, nil); err != nil {
			return nil, err
		}
		c.client = c.own.Client()
		c.spec = clientv3.ConfigSpec{Endpoints: c.own.Endpoints(), DialTimeout: patience}
	} else {
		if err := probeAll(ctx, set, prefix, warn); err != nil {
			return nil, err
		}
		cfg, err := config(set.spec)
		if err != nil {
			return nil, err
		}
		if c.client, err = clientv3.New(cfg); err != nil {
			return nil, fmt.Errorf("etcd: %w", err)
		}
	}
	if c.store, err = etcd.New(c.client, nil); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// probeAll asks every endpoint by itself, all at once, so that one that is
// wrong is named. It fails if none answers, or if one denies.
func probeAll(ctx context.Context, set settings, prefix string, warn func(format string, args ...any)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v", patience))
	defer cancel()
	errs := make([]error, len(set.endpoints))
	var all sync.WaitGroup
	for i, ep := range set.endpoints {
		all.Go(func() { errs[i] = probe(ctx, set.spec, ep, prefix) })
	}
	all.Wait()
	var down []string
	for i, err := range errs {
		if errors.Is(err, adapters.ErrDenied) {
			return err
		}
		if err != nil {
			down = append(down, fmt.Sprintf("%s: %v", set.endpoints[i], err))
		}
	}
	var i interruption
	if errors.As(context.Cause(ctx), &i) {
		return i
	}
	if len(down) == len(errs) {
		return fmt.Errorf("no etcd answers at %s (from %s):\n  %s",
			strings.Join(set.endpoints, ","), set.from, strings.Join(down, "\n  "))
	}
	for _, d := range down {
		warn("no answer from %s", d)
	}
	return nil
}

func probe(ctx context.Context, spec clientv3.ConfigSpec, endpoint, prefix string) error {
	spec.Endpoints = []string{endpoint}
	cfg, err := config(spec)
	if err != nil {
		return err
	}
	if err := knock(ctx, endpoint, cfg.TLS); err != nil {
		return err
	}
	cfg.Context = ctx
	c, err := clientv3.New(cfg)
	if err != nil {
		return explain(ctx, err)
	}
	defer c.Close()
	store, err := etcd.New(c, nil)
	if err != nil {
		return err
	}
	_, err = store.Read(ctx, prefix+"/")
	if errors.Is(err, adapters.ErrDenied) {
		return denied(err, prefix)
	}
	return explain(ctx, err)
}

// knock connects without gRPC, which tells the reason when it cannot: a client
// of etcd goes on trying until its time is over, and then says only that.
func knock(ctx context.Context, endpoint string, secure *tls.Config) error {
	scheme, host, found := strings.Cut(endpoint, "://")
	if !found {
		host = endpoint
	}
	if strings.HasPrefix(scheme, "unix") {
		return nil
	}
	var conn net.Conn
	var err error
	if scheme == "https" || !found && secure != nil {
		conn, err = (&tls.Dialer{Config: secure}).DialContext(ctx, "tcp", strings.TrimSuffix(host, "/"))
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimSuffix(host, "/"))
	}
	if err != nil {
		return explain(ctx, err)
	}
	return conn.Close()
}

// explain says what ended ctx, if that is why it was over, and what an open
// port that does not answer may mean.
func explain(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w (is it an etcd, and https where it wants that?)", context.Cause(ctx))
}

func denied(err error, prefix string) error {
	kind, _, _ := strings.Cut(prefix, "-")
	return fmt.Errorf("%w: the user must be allowed to read and write all keys that begin with %q", err, kind+"-")
}

// granted tries everything that a run does, and returns how long a lease is
// that these servers give who asks for ttl.
func (c *cluster) granted(ctx context.Context, ttl time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*patience, fmt.Errorf("no answer within %v", 2*patience))
	defer cancel()
	lease, err := c.store.Grant(ctx, ttl)
	if err == nil {
		key := c.prefix + "/probe"
		_, err = c.store.Commit(ctx, adapters.Tx{
			If:   []adapters.Cond{adapters.Absent(key)},
			Then: []adapters.Op{adapters.PutLeased(key, nil, lease.ID)},
		})
		err = errors.Join(err, c.store.Revoke(ctx, lease.ID))
	}
	if errors.Is(err, adapters.ErrDenied) {
		err = denied(err, c.prefix)
	}
	return lease.TTL, err
}

// unleased waits until no leased key is left, or until d is over.
func (c *cluster) unleased(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for view, err := range c.store.Watch(ctx, c.prefix+"/") {
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err != nil || len(leases(view)) == 0 {
			break
		}
	}
	return nil
}

func leases(view adapters.View) map[adapters.LeaseID]int {
	ls := map[adapters.LeaseID]int{}
	for _, kv := range view.KVs {
		if kv.Lease != "" {
			ls[kv.Lease]++
		}
	}
	return ls
}

// sweep deletes what is left below the prefix, with the leases that it hangs
// on, and returns how many keys with and without one it found. All leases
// there are of this run: nobody else knows the prefix.
func (c *cluster) sweep(ctx context.Context) (leased, others int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v", patience))
	defer cancel()
	view, err := c.store.Read(ctx, c.prefix+"/")
	if err != nil {
		return 0, 0, fmt.Errorf("clean up: %w", err)
	}
	var errs []error
	for id, n := range leases(view) {
		leased += n
		errs = append(errs, c.store.Revoke(ctx, id))
	}
	if len(view.KVs) > 0 {
		_, err := c.client.Delete(ctx, c.prefix+"/", clientv3.WithPrefix())
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return leased, len(view.KVs) - leased, fmt.Errorf("clean up: %w", err)
	}
	return leased, len(view.KVs) - leased, nil
}

// close ends the client, and the etcd if it is ours.
func (c *cluster) close() error {
	if c.own != nil {
		return c.own.Close()
	}
	return c.client.Close()
}
