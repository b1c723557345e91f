// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/embedded"
	"github.com/quorate/quorate/adapters/etcd"
)

// A cluster is the etcd of a run, our own or the user's, or the user's Consul.
type cluster struct {
	own    *embedded.Server // nil if it is the user's
	place  place
	store  adapters.Store
	done   func() error // ends the store's client
	prefix string
}

// patience is how long an endpoint may take to answer at the start.
const patience = 5 * time.Second

// openCluster starts an etcd or connects to the user's servers. It says which
// endpoints do not answer.
func openCluster(ctx context.Context, set settings, prefix string, warn func(format string, args ...any)) (*cluster, error) {
	c := &cluster{prefix: prefix, place: place{Etcd: &set.spec}}
	var err error
	switch {
	case set.consul != nil:
		spec := *set.consul
		spec.Node = prefix + "-leases"
		c.place = place{Consul: &spec}
		spec.Addresses, err = probeAll(ctx, set, warn, func(ctx context.Context, addr string) error {
			return probeConsul(ctx, spec, addr, prefix)
		})
	case len(set.endpoints) > 0:
		_, err = probeAll(ctx, set, warn, func(ctx context.Context, ep string) error { return probe(ctx, set.spec, ep, prefix) })
	default:
		if c.own, err = embedded.Start(ctx, nil); err == nil {
			c.place = place{Etcd: &clientv3.ConfigSpec{Endpoints: c.own.Endpoints(), DialTimeout: patience}}
		}
	}
	if err != nil {
		return nil, err
	}
	if c.store, c.done, err = c.place.open(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// probeAll asks every endpoint by itself, all at once, so that one that is
// wrong is named. It fails if none answers, or if one denies. It returns them
// with those first that answer.
func probeAll(ctx context.Context, set settings, warn func(format string, args ...any), ask func(ctx context.Context, endpoint string) error) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v", patience))
	defer cancel()
	errs := make([]error, len(set.endpoints))
	var all sync.WaitGroup
	for i, ep := range set.endpoints {
		all.Go(func() { errs[i] = ask(ctx, ep) })
	}
	all.Wait()
	var up, down, why []string
	for i, err := range errs {
		switch {
		case errors.Is(err, adapters.ErrDenied):
			return nil, err
		case err != nil:
			down = append(down, set.endpoints[i])
			why = append(why, fmt.Sprintf("%s: %v", set.endpoints[i], err))
		default:
			up = append(up, set.endpoints[i])
		}
	}
	var i interruption
	if errors.As(context.Cause(ctx), &i) {
		return nil, i
	}
	if len(up) == 0 {
		return nil, fmt.Errorf("no %s answers at %s (from %s):\n  %s",
			set.title(), strings.Join(set.endpoints, ","), set.from, strings.Join(why, "\n  "))
	}
	for _, w := range why {
		warn("no answer from %s", w)
	}
	return append(up, down...), nil
}

func probeConsul(ctx context.Context, spec consulSpec, addr, prefix string) error {
	spec.Addresses = []string{addr}
	store, done, err := spec.open()
	if err != nil {
		return err
	}
	defer done()
	if _, err = store.Read(ctx, prefix+"/"); errors.Is(err, adapters.ErrDenied) {
		return spec.refused(err, prefix)
	}
	return explain(ctx, err)
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
	return fmt.Errorf("%w (is it the right port, and https where it wants that?)", context.Cause(ctx))
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
	switch {
	case c.place.Consul != nil:
		err = c.place.Consul.refused(err, c.prefix)
	case errors.Is(err, adapters.ErrDenied):
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
	others = len(view.KVs) - leased
	for kvs := range slices.Chunk(view.KVs, 50) {
		var tx adapters.Tx
		for _, kv := range kvs {
			tx.Then = append(tx.Then, adapters.Delete(kv.Key))
		}
		_, err := c.store.Commit(ctx, tx)
		errs = append(errs, err)
	}
	if c.place.Consul != nil {
		errs = append(errs, c.place.Consul.forget(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return leased, others, fmt.Errorf("clean up: %w", err)
	}
	return leased, others, nil
}

// close ends the client, and the etcd if it is ours.
func (c *cluster) close() error {
	var errs []error
	if c.done != nil {
		errs = append(errs, c.done())
	}
	if c.own != nil {
		errs = append(errs, c.own.Close())
	}
	return errors.Join(errs...)
}
