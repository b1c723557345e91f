// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/links"
)

// A trial is one scenario tried on one kind of lock.
type trial struct {
	*testing.T
	kind     *kind
	ground   *ground
	site     site // straight to the servers
	resource resource
	holders  atomic.Int64
	parties  []*party
	links    []*links.Link
	cleanups []func()
	row      *row
	round    int
}

// A ground is servers, and a way to them that nothing happens to.
type ground struct {
	endpoints []string
	etcd      *clientv3.Client
	consul    *api.Client
	ttl       time.Duration
	user      string // what contenders show
	password  string
	token     string
	tls       *tls.Config
	room      chan struct{} // for so many trials at once
}

var trials atomic.Int64

func newTrial(t *testing.T, g *ground, k *kind, r *row, round int) *trial {
	name := fmt.Sprint("trial-", trials.Add(1))
	return &trial{T: t, kind: k, ground: g, row: r, round: round, site: site{
		Kind: k.name, Endpoints: g.endpoints, Name: name, Prefix: "of-" + name, TTL: g.ttl,
		User: g.user, Password: g.password, Token: g.token, TLS: g.tls,
	}}
}

// ctx ends with the patience for one step.
func (tr *trial) ctx() context.Context { return tr.until(patience) }

func (tr *trial) until(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	tr.cleanups = append(tr.cleanups, cancel)
	return ctx
}

// contender opens one behind a link of its own.
func (tr *trial) contender(change ...func(*site)) (contender, *links.Link) {
	tr.Helper()
	l := links.New(tr.T, tr.site.Endpoints)
	tr.links = append(tr.links, l)
	at := tr.site
	at.Endpoints = l.Endpoints()
	for _, f := range change {
		f(&at)
	}
	c, err := tr.kind.open(at)
	require.NoError(tr, err)
	tr.cleanups = append(tr.cleanups, func() { _ = c.close() })
	return c, l
}

// holder opens a contender and has it take the lock.
func (tr *trial) holder(change ...func(*site)) (*party, contender, *links.Link) {
	tr.Helper()
	c, l := tr.contender(change...)
	p := tr.tries(context.Background(), c)
	tr.gets(p)
	return p, c, l
}

// waiter opens a contender and returns when it waits for the lock.
func (tr *trial) waiter(ctx context.Context) (*party, contender, *links.Link) {
	tr.Helper()
	c, l := tr.contender()
	before := tr.keys()
	p := tr.tries(ctx, c)
	tr.eventually("a wait", func() bool {
		return c.waits() && (!tr.kind.queues || tr.keys() > before)
	})
	return p, c, l
}

func (tr *trial) gets(p *party) {
	tr.Helper()
	require.True(tr, within(patience, p.done), "no lock in %v", patience)
	require.NoError(tr, p.err)
}

func (tr *trial) eventually(what string, f func() bool) {
	tr.Helper()
	for t, ticks := time.Now(), time.NewTicker(5*time.Millisecond); !f(); <-ticks.C {
		require.Less(tr, time.Since(t), patience, "waiting for %s", what)
	}
}

// keys counts those who hold or wait, as the server has them.
func (tr *trial) keys() int { return tr.below(tr.kind.slots(tr.site)) }

func (tr *trial) below(prefix string) int {
	tr.Helper()
	if tr.ground.etcd != nil {
		resp, err := tr.ground.etcd.Get(tr.ctx(), prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(tr, err)
		return int(resp.Count)
	}
	q := (&api.QueryOptions{RequireConsistent: true}).WithContext(tr.ctx())
	kvs, _, err := tr.ground.consul.KV().List(prefix, q)
	require.NoError(tr, err)
	n := 0
	for _, kv := range kvs {
		// The key of an api.Lock stays, and is free.
		if tr.kind.queues || kv.Session != "" {
			n++
		}
	}
	return n
}

// revoke ends a contender's lease at the server, behind its back.
func (tr *trial) revoke(c contender) {
	tr.Helper()
	lease, err := c.lease()
	require.NoError(tr, err)
	if tr.ground.etcd != nil {
		id, err := strconv.ParseInt(lease, 16, 64)
		require.NoError(tr, err)
		_, err = tr.ground.etcd.Revoke(tr.ctx(), clientv3.LeaseID(id))
		require.NoError(tr, err)
		return
	}
	_, err = tr.ground.consul.Session().Destroy(lease, (&api.WriteOptions{}).WithContext(tr.ctx()))
	require.NoError(tr, err)
}

// expired is how long a lease may be there that nobody renews.
func (tr *trial) expired() time.Duration {
	if tr.kind.backend == "consul" {
		return 2 * tr.site.TTL
	}
	return tr.site.TTL + 500*time.Millisecond
}

// taken measures the overlap of one who held the lock and the next, who has it,
// and returns once the first does not believe any more, or has been watched for
// long enough.
func (tr *trial) taken(from, to *party) {
	tr.Helper()
	if !within(belief, from.over) {
		tr.row.unended = true
	}
	if from.last.Load() == 0 {
		tr.row.fault("got the lock, and was never told that it has it")
		return
	}
	tr.row.overlapped(time.Duration(from.last.Load()) - to.acquired)
}

// ends lets everybody give back what he has, sees what is left, and closes.
func (tr *trial) ends() {
	tr.Helper()
	for _, l := range tr.links {
		l.Heal()
	}
	tr.gather(0)
	tr.gather(time.Second) // of a Lock that returns now that its link is whole
	tr.row.stale(tr.resource.counts())
	if tr.kind.ours {
		for _, f := range tr.resource.faults() {
			tr.row.fault("%s", f)
		}
	}
	left := tr.left(tr.keys)
	tr.closes()
	if tr.kind.ours {
		left += tr.left(func() int { return tr.below(tr.site.Prefix + "/") })
	}
	tr.row.keys = max(tr.row.keys, left)
}

// gather has everybody give back what he has, or gets within that time.
func (tr *trial) gather(patience time.Duration) {
	for _, p := range tr.parties {
		if !within(patience, p.done) || !p.has() || p.given.Load() && patience > 0 {
			continue
		}
		done := make(chan struct{})
		ctx := tr.until(time.Second)
		go func() {
			defer close(done)
			_ = p.gives(ctx)
		}()
		within(time.Second, done)
	}
}

// left counts keys when every lease of the dead must have ended, or earlier if
// none is there.
func (tr *trial) left(count func() int) int {
	tr.Helper()
	n := count()
	for t, ticks := time.Now(), time.NewTicker(20*time.Millisecond); n > 0 && time.Since(t) < tr.expired()+time.Second; n = count() {
		<-ticks.C
	}
	return n
}

// closes ends everything that a trial has started, newest first. It may be
// called twice.
func (tr *trial) closes() {
	for _, p := range tr.parties {
		p.stop()
	}
	for len(tr.cleanups) > 0 {
		last := len(tr.cleanups) - 1
		f := tr.cleanups[last]
		tr.cleanups = tr.cleanups[:last]
		f()
	}
	for _, l := range tr.links {
		l.Cut()
	}
	tr.links = nil
}
