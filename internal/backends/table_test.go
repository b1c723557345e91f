// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/adapters/embedded"
	"github.com/quorate/quorate/adapters/etcd"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/internal/servers"
)

// A backend is one kind of store that users have, running.
type backend struct {
	// open makes a store with a client of its own, as in another process. The
	// client is closed at the end of the test.
	open func(t testing.TB) adapters.Store
	// minTTL is the shortest lease that it grants.
	minTTL time.Duration
	// leaderless is about how long the servers may be without a leader, beyond
	// what the shortest lease outlasts.
	leaderless time.Duration
	// servers can be killed and frozen; nil if nothing can be done to them.
	servers cluster
	// endpoints are those of an etcd; nil if it is none.
	endpoints []string
}

// A cluster is servers in processes of their own.
type cluster interface {
	Servers() []*servers.Member
	Member(i int) *servers.Member
	Leader(ctx context.Context) (int, error)
	Ready(ctx context.Context) error
}

var kinds = []struct {
	name  string
	start func(t *testing.T) *backend
}{
	{"memory", startMemory},
	{"embedded", startEmbedded},
	{"etcd", func(t *testing.T) *backend { return startEtcd(t, 1) }},
	{"etcd-cluster", func(t *testing.T) *backend { return startEtcd(t, 3) }},
	{"consul", func(t *testing.T) *backend { return startConsul(t, 1) }},
	{"consul-cluster", func(t *testing.T) *backend { return startConsul(t, 3) }},
}

// A scenario is one test that runs on each backend.
type scenario struct {
	name string
	run  func(*bench)
}

func TestBackends(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: waits for leases, on real servers")
	}
	backends := make([]*backend, len(kinds))
	for i, kind := range kinds {
		backends[i] = kind.start(t)
	}
	t.Run("peace", func(t *testing.T) {
		for i, b := range backends {
			t.Run(kinds[i].name, func(t *testing.T) {
				t.Parallel()
				for _, s := range slices.Concat(sessionScenarios, queueScenarios, lockScenarios, electionScenarios, shardScenarios) {
					t.Run(s.name, func(t *testing.T) {
						t.Parallel()
						s.run(newBench(t, b))
					})
				}
			})
		}
	})
	t.Logf("given back: %d confirmed, %d not at once", confirmed.Load(), unconfirmed.Load())
	require.Greater(t, confirmed.Load(), 10*unconfirmed.Load())
	t.Run("goroutines", func(t *testing.T) { // looks at the whole process
		for i, b := range backends {
			t.Run(kinds[i].name, func(t *testing.T) { noGoroutine(newBench(t, b)) })
		}
	})
	t.Run("outages", func(t *testing.T) { // hit everybody on a backend
		for i, b := range backends {
			if b.servers == nil {
				continue // they end with the test's process
			}
			t.Run(kinds[i].name, func(t *testing.T) {
				t.Parallel()
				for _, s := range outageScenarios(len(b.servers.Servers())) {
					t.Run(s.name, func(t *testing.T) { s.run(newBench(t, b)) })
				}
			})
		}
	})
}

func startMemory(t *testing.T) *backend {
	store := memory.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return &backend{open: func(testing.TB) adapters.Store { return store }, minTTL: time.Second}
}

func startEmbedded(t *testing.T) *backend {
	srv, err := embedded.Start(t.Context(), &embedded.Options{Heartbeat: 10 * time.Millisecond, Election: 100 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	return onEtcd(srv.Endpoints())
}

func startEtcd(t *testing.T, members int) *backend {
	// Calmer timers than the default: three servers share a few cores with the
	// tests, and an election that nobody asked for is no subject here.
	cluster := servers.StartEtcdWith(t, members, &servers.Options{Heartbeat: 30 * time.Millisecond, Election: 300 * time.Millisecond})
	b := onEtcd(cluster.Endpoints())
	b.servers = etcdCluster{cluster}
	return b
}

type etcdCluster struct{ *servers.Etcd }

func (e etcdCluster) Servers() []*servers.Member { return e.Members() }

func startConsul(t *testing.T, members int) *backend {
	c := servers.StartConsul(t, members)
	b := &backend{minTTL: time.Second, servers: c}
	if members > 1 {
		b.leaderless = 3 * time.Second // with timers five times as fast as Consul's own
	}
	var opened atomic.Int64
	b.open = func(t testing.TB) adapters.Store {
		var clients []*api.Client
		for i := range members { // each store begins with another server
			clients = append(clients, c.Client(t, (i+int(opened.Load()))%members))
		}
		opened.Add(1)
		store, err := consul.New(clients[0], &consul.Options{
			MinTTL:     100 * time.Millisecond,
			Failover:   clients[1:],
			ProbeEvery: 600 * time.Millisecond,
			// An agent takes 200 connections from this address, and here are
			// dozens of processes' worth of stores.
			MaxCalls: 4,
			MaxPolls: 4,
		})
		require.NoError(t, err)
		return store
	}
	return b
}

func onEtcd(endpoints []string) *backend {
	return &backend{
		open: func(t testing.TB) adapters.Store {
			store, err := etcd.New(dial(t, endpoints), &etcd.Options{ProbeEvery: 600 * time.Millisecond})
			require.NoError(t, err)
			return store
		},
		minTTL:    time.Second,
		endpoints: endpoints,
	}
}

func dial(t testing.TB, endpoints []string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}
