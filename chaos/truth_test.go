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

func (r *run) startTruth() {
	r.Helper()
	log, err := history.Create(r.dir, history.Server)
	require.NoError(r, err)
	ctx, cancel := context.WithCancel(context.Background())
	tr := &truth{run: r, log: log, cancel: cancel, seen: map[incarnation]bool{}}
	r.truth = tr
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

// left tells of the keys that are there although everybody has closed. At once is
// for a run in which nobody was killed of late: who closes leaves nothing. Otherwise
// leases of the killed may have to end first. What has no lease would stay for ever,
// and nothing of ours that does is below a session's prefix.
func (tr *truth) left(atOnce bool) {
	r := tr.run
	r.Helper()
	var leased, bare []string
	for began := time.Now(); ; pause(r.Context(), 100*time.Millisecond) {
		var err error
		if leased, bare, err = r.keys(); err != nil {
			r.wrong("keys", "those that are left cannot be listed: %v", err)
			return
		}
		if len(leased) == 0 || atOnce || time.Since(began) > 2*r.ttl+2*time.Second {
			break
		}
	}
	for _, key := range leased {
		tr.log.Tell(history.Event{What: history.Left, Name: key})
	}
	if isPeer(r.plant) {
		return // theirs may stay
	}
	for _, key := range bare {
		tr.log.Tell(history.Event{What: history.Left, Name: key, Value: "on no lease"})
	}
}

// keys lists the keys of a run: those that belong to a lease, and others.
func (r *run) keys() (leased, bare []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	add := func(key string, onLease bool) {
		if onLease {
			leased = append(leased, key)
		} else {
			bare = append(bare, key)
		}
	}
	switch c := r.cluster.(type) {
	case etcdCluster:
		resp, err := c.Client(r).Get(ctx, r.prefix()+"/", clientv3.WithPrefix())
		if err != nil {
			return nil, nil, err
		}
		for _, kv := range resp.Kvs {
			add(string(kv.Key), kv.Lease != 0)
		}
	case *servers.Consul:
		pairs, _, err := c.Client(r, 0).KV().List(r.prefix()+"/", (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
		if err != nil {
			return nil, nil, err
		}
		for _, kv := range pairs {
			add(kv.Key, kv.Session != "")
		}
	}
	return leased, bare, nil
}
