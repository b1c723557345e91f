// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/internal/servers"
)

// The truth is what the servers say of the keys of a run, seen over clean links
// from the run's begin. Each server is watched, because one may be stopped or
// cut off: what the first of them shows is written down.
type truth struct {
	run    *run
	log    *history.Writer
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	seen map[incarnation]bool // whether it has been deleted
}

// incarnation is one life of a key.
type incarnation struct {
	key     string
	created uint64
}

func (r *run) startTruth() *truth {
	r.Helper()
	log, err := history.Create(r.dir, history.Server)
	require.NoError(r, err)
	ctx, cancel := context.WithCancel(context.Background())
	tr := &truth{run: r, log: log, cancel: cancel, seen: map[incarnation]bool{}}
	switch c := r.cluster.(type) {
	case etcdCluster:
		first, err := c.Client(r).Get(r.within(30*time.Second), r.prefix())
		require.NoError(r, err)
		for _, e := range c.Endpoints() {
			client, err := clientv3.New(clientv3.Config{Endpoints: []string{e}, Logger: zap.NewNop()})
			require.NoError(r, err)
			tr.wg.Go(func() {
				defer client.Close()
				tr.watchEtcd(ctx, client, first.Header.Revision+1)
			})
		}
	case *servers.Consul:
		for i := range c.Servers() {
			cfg := c.Config(i)
			client, err := api.NewClient(cfg)
			require.NoError(r, err)
			tr.wg.Go(func() {
				defer cfg.Transport.CloseIdleConnections()
				tr.watchConsul(ctx, client)
			})
		}
	}
	return tr
}

// stop ends the watching.
func (tr *truth) stop() error {
	tr.cancel()
	tr.wg.Wait()
	return tr.log.Close()
}

// put and deleted tell of a key when its incarnation is new to them. A server
// that lags behind may show it after another has shown its end.
func (tr *truth) put(key string, created uint64) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	in := incarnation{key, created}
	if _, ok := tr.seen[in]; !ok {
		tr.seen[in] = false
		tr.log.Tell(history.Event{What: history.Put, Name: key, Token: created})
	}
}

func (tr *truth) deleted(key string, created uint64) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	in := incarnation{key, created}
	if !tr.seen[in] {
		tr.seen[in] = true
		tr.log.Tell(history.Event{What: history.Deleted, Name: key, Token: created})
	}
}

// watchEtcd watches one member. Its client connects again by itself; history
// that has been compacted meanwhile another member's watch has seen.
func (tr *truth) watchEtcd(ctx context.Context, c *clientv3.Client, from int64) {
	for ctx.Err() == nil {
		for resp := range c.Watch(ctx, tr.run.prefix()+"/", clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithRev(from)) {
			for _, e := range resp.Events {
				switch {
				case e.IsCreate():
					tr.put(string(e.Kv.Key), uint64(e.Kv.CreateRevision))
				case e.Type == clientv3.EventTypeDelete && e.PrevKv != nil:
					tr.deleted(string(e.Kv.Key), uint64(e.PrevKv.CreateRevision))
				}
			}
			from = max(from, resp.Header.Revision+1, resp.CompactRevision)
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// watchConsul compares what the leader has, asked through one server, with what
// it had. A life of a key that is shorter than the time between two looks is not
// seen. What is older than what has been seen is an old leader's, and no news.
func (tr *truth) watchConsul(ctx context.Context, c *api.Client) {
	had, seen, index := map[string]uint64{}, uint64(0), uint64(0)
	for ctx.Err() == nil {
		q := (&api.QueryOptions{WaitIndex: index, WaitTime: time.Minute}).WithContext(ctx)
		pairs, meta, err := c.KV().List(tr.run.prefix()+"/", q)
		if err != nil || meta.LastIndex < seen {
			index = 0
			pause(ctx, 100*time.Millisecond)
			continue
		}
		index, seen = meta.LastIndex, meta.LastIndex
		has := map[string]uint64{}
		for _, kv := range pairs {
			has[kv.Key] = kv.CreateIndex
			tr.put(kv.Key, kv.CreateIndex)
		}
		for key, created := range had {
			if has[key] != created {
				tr.deleted(key, created)
			}
		}
		had = has
	}
}

// left tells of the leased keys that are there although everybody has closed,
// once the leases of those that were killed must have ended.
func (tr *truth) left() {
	r := tr.run
	r.Helper()
	var keys []string
	for began := time.Now(); ; pause(r.Context(), 100*time.Millisecond) {
		keys = r.leased()
		if len(keys) == 0 || time.Since(began) > 2*r.ttl+2*time.Second {
			break
		}
	}
	for _, key := range keys {
		tr.log.Tell(history.Event{What: history.Left, Name: key})
	}
}

// leased lists the keys of a run that belong to a lease.
func (r *run) leased() (keys []string) {
	r.Helper()
	switch c := r.cluster.(type) {
	case etcdCluster:
		resp, err := c.Client(r).Get(r.within(30*time.Second), r.prefix()+"/", clientv3.WithPrefix())
		require.NoError(r, err)
		for _, kv := range resp.Kvs {
			if kv.Lease != 0 {
				keys = append(keys, string(kv.Key))
			}
		}
	case *servers.Consul:
		pairs, _, err := c.Client(r, 0).KV().List(r.prefix()+"/", (&api.QueryOptions{RequireConsistent: true}).WithContext(r.within(30*time.Second)))
		require.NoError(r, err)
		for _, kv := range pairs {
			if kv.Session != "" {
				keys = append(keys, kv.Key)
			}
		}
	}
	return keys
}
