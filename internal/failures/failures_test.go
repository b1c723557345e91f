// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/quorate/quorate/internal/servers"
)

// times is how often something is done, in the long form more often.
func times(n int) int {
	if os.Getenv("QUORATE_LONG") != "" {
		return 4 * n
	}
	return n
}

// rounds is how often a scenario that disturbs nobody is tried on each kind.
const rounds = 3

func TestKnownFailures(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: waits for leases, on real servers")
	}
	var rows results
	etcd, consul := etcdGround(t), consulGround(t)
	t.Run("at once", func(t *testing.T) {
		for _, g := range []*ground{etcd, consul} {
			t.Run("links/"+g.backend(), func(t *testing.T) {
				t.Parallel()
				for _, s := range linkScenarios() {
					rows.try(t, g, s)
				}
			})
		}
		t.Run("servers/etcd", func(t *testing.T) {
			t.Parallel()
			e := servers.StartEtcdWith(t, 3, &servers.Options{Heartbeat: 30 * time.Millisecond, Election: 300 * time.Millisecond})
			g := &ground{endpoints: e.Endpoints(), etcd: e.Client(t)}
			rows.acts(t, g, etcdCluster{e}, clusterScenarios)
			e = servers.StartEtcd(t, 1)
			g = &ground{endpoints: e.Endpoints(), etcd: e.Client(t)}
			rows.acts(t, g, etcdCluster{e}, aloneScenarios)
			g, c := guardedEtcd(t)
			rows.play(t, g, c, tokenExpires)
		})
		t.Run("servers/consul", func(t *testing.T) {
			t.Parallel()
			c := servers.StartConsul(t, 3)
			g := &ground{endpoints: c.Endpoints(), consul: c.Client(t, 0)}
			rows.acts(t, g, c, clusterScenarios)
			c = servers.StartConsul(t, 1)
			g = &ground{endpoints: c.Endpoints(), consul: c.Client(t, 0)}
			rows.acts(t, g, c, aloneScenarios)
			g, guarded := guardedConsul(t)
			rows.play(t, g, guarded, tokenWithdrawn)
		})
	})
	t.Run("clock", func(t *testing.T) { rows.jump(t, etcd, consul) }) // hits the whole machine
	rows.write(t)
}

// acts plays scenarios one after the other.
func (rs *results) acts(t *testing.T, g *ground, c cluster, all []serverScenario) {
	for _, s := range all {
		rs.play(t, g, c, s)
	}
}

// try runs one scenario on all kinds of lock that the ground has.
func (rs *results) try(t *testing.T, g *ground, s scenario) {
	for _, k := range on(g.backend(), s.on...) {
		total := rs.row(s, k)
		t.Run(s.name+"/"+k.name, func(t *testing.T) {
			t.Parallel()
			all := make([]*row, times(rounds))
			t.Run("round", func(t *testing.T) {
				for i := range all {
					all[i] = &row{}
					t.Run(fmt.Sprint(i), func(t *testing.T) {
						t.Parallel()
						g.room <- struct{}{}
						defer func() { <-g.room }()
						tr := newTrial(t, g, k, all[i], i)
						defer tr.closes()
						s.run(tr)
						tr.ends()
					})
				}
			})
			for _, r := range all {
				total.add(r)
			}
			total.judge(t, s, k)
		})
	}
}

// judge is what must come out.
func (r *row) judge(t *testing.T, s scenario, k *kind) {
	t.Log(s.name + " | " + strings.Join(r.cells(), " | "))
	if k.ours {
		assert.Empty(t, r.verdict())
		assert.True(t, r.held || r.waited || r.next, "nothing was measured")
	} else if slices.Contains(s.convicts, k) {
		assert.NotEmpty(t, r.verdict(), "this peer is known to fail here: the suite does not see it")
	}
}

func etcdGround(t *testing.T) *ground {
	e := servers.StartEtcd(t, 1)
	return &ground{endpoints: e.Endpoints(), etcd: e.Client(t), ttl: 2 * time.Second, room: make(chan struct{}, 10)}
}

func consulGround(t *testing.T) *ground {
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true})
	return &ground{endpoints: c.Endpoints(), consul: c.Client(t, 0), ttl: 2 * time.Second, room: make(chan struct{}, 10)}
}

func (g *ground) backend() string {
	if g.etcd != nil {
		return "etcd"
	}
	return "consul"
}
