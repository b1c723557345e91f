// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/internal/servers"
)

// A cluster is servers in processes of their own.
type cluster interface {
	Servers() []*servers.Member
	Leader(ctx context.Context) (int, error)
	Ready(ctx context.Context) error
}

type etcdCluster struct{ *servers.Etcd }

func (e etcdCluster) Servers() []*servers.Member { return e.Members() }

// A stage is one fault of the servers, which hits all kinds of lock that are
// there at the same time.
type stage struct {
	*testing.T
	ground  *ground
	cluster cluster
	trials  []*trial
	round   int
}

// A serverScenario is a scenario whose fault hits the servers. It runs on a
// stage, once for all kinds in each round.
type serverScenario struct {
	scenario // without run
	rounds   int
	act      func(*stage)
}

// newStage has a trial for each kind of lock that the scenario is tried on.
func newStage(t *testing.T, g *ground, c cluster, s scenario, round int) *stage {
	st := &stage{T: t, ground: g, cluster: c, round: round}
	for _, k := range on(g.backend(), s.on...) {
		st.trials = append(st.trials, newTrial(t, g, k, &row{}, round))
	}
	return st
}

// play runs a scenario, with parties of its own in each round.
func (rs *results) play(t *testing.T, g *ground, c cluster, s serverScenario) {
	if len(on(g.backend(), s.on...)) == 0 {
		return
	}
	t.Run(s.name, func(t *testing.T) {
		var all []*stage
		for i := range times(s.rounds) {
			st := newStage(t, g, c, s.scenario, i)
			s.act(st)
			st.ends()
			all = append(all, st)
		}
		rs.sum(t, s.scenario, all)
	})
}

// ends ends all trials.
func (st *stage) ends() {
	st.Helper()
	st.each("ends", (*trial).ends)
	for _, tr := range st.trials {
		tr.closes()
	}
}

// sum adds up what all rounds have come to.
func (rs *results) sum(t *testing.T, s scenario, all []*stage) {
	t.Helper()
	for _, k := range s.on {
		var total *row
		for _, st := range all {
			for _, tr := range st.trials {
				if tr.kind != k {
					continue
				}
				if total == nil {
					total = rs.row(s, k)
				}
				total.add(tr.row)
			}
		}
		if total != nil {
			total.judge(t, s, k)
		}
	}
}

// each runs one step of all trials at once, and ends the stage if one fails.
func (st *stage) each(step string, f func(*trial)) {
	st.Helper()
	ok := st.Run(step, func(t *testing.T) {
		for _, tr := range st.trials {
			t.Run(tr.kind.name, func(t *testing.T) {
				t.Parallel()
				tr.T = t
				f(tr)
			})
		}
	})
	if !ok {
		for _, tr := range st.trials {
			tr.closes()
		}
		st.FailNow()
	}
}

// ready waits until all servers that run answer.
func (st *stage) ready() {
	st.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	require.NoError(st, st.cluster.Ready(ctx))
}

func (st *stage) leader() int {
	st.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	i, err := st.cluster.Leader(ctx)
	require.NoError(st, err)
	return i
}

// pairs has each kind of lock held by one and waited for by another.
func (st *stage) pairs(ttl time.Duration) (first, second map[*trial]*party) {
	st.Helper()
	first, second = map[*trial]*party{}, map[*trial]*party{}
	for _, tr := range st.trials {
		tr.site.TTL = ttl
		first[tr], second[tr] = nil, nil
	}
	type pair struct{ first, second *party }
	got := make(chan map[*trial]pair, len(st.trials))
	st.each("begin", func(tr *trial) {
		a, _, _ := tr.holder()
		b, _, _ := tr.waiter(context.Background())
		got <- map[*trial]pair{tr: {a, b}}
	})
	for range st.trials {
		for tr, p := range <-got {
			first[tr], second[tr] = p.first, p.second
		}
	}
	return first, second
}
