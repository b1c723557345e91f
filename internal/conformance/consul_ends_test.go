// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// Rule R4: Consul ends sessions early when their node goes, and yet nobody is
// given a place that its last holder still trusts to have.

const (
	patience = 30 * time.Second

	nodeTTL  = time.Second     // of leases whose node is removed
	agentTTL = 2 * time.Second // and whose holders have to find another agent meanwhile
)

// A trial is one lock: somebody holds it and is cut off, somebody waits for it,
// and somebody comes by again and again. All times are of one clock.
type trial struct {
	name    string
	holder  *session.Session
	hold    *mutex.Hold
	link    *adaptertest.Faults // of the holder
	checked time.Duration       // when its last Check that passed was asked
	others  []*session.Session
	next    atomic.Int64 // when the next one had the lock; 0 for not yet
	errs    chan error
}

var clock = time.Now() // of all trials

// newTrial opens the sessions of a trial, on stores of its own.
func newTrial(t testing.TB, name string, ttl time.Duration, holder, other adapters.Store) *trial {
	t.Helper()
	tr := &trial{name: name, link: adaptertest.Wrap(holder), errs: make(chan error, 2)}
	open := func(s adapters.Store) *session.Session {
		sess, err := session.Open(within(t, patience), s, &session.Options{Prefix: name, TTL: ttl})
		require.NoError(t, err)
		t.Cleanup(func() { _ = sess.Close() })
		return sess
	}
	tr.holder = open(tr.link)
	tr.others = []*session.Session{open(other), open(other)}
	m, err := mutex.New(tr.holder, "l", nil)
	require.NoError(t, err)
	tr.hold, err = m.Lock(within(t, patience))
	require.NoError(t, err)
	return tr
}

// contend lets one wait and one try, until each had the lock or ctx ends.
func (tr *trial) contend(ctx context.Context) *sync.WaitGroup {
	var wg sync.WaitGroup
	for i, s := range tr.others {
		wg.Go(func() {
			tr.errs <- func() error {
				m, err := mutex.New(s, "l", nil)
				if err != nil {
					return err
				}
				for {
					var h *mutex.Hold
					if i == 0 {
						h, err = m.Lock(ctx)
					} else {
						h, err = m.TryLock(ctx)
					}
					switch {
					case err == nil:
						tr.next.CompareAndSwap(0, int64(time.Since(clock)))
						if err := h.Unlock(); err != nil && !errors.Is(err, adapters.ErrUnknown) && !errors.Is(err, session.ErrLost) {
							return err
						}
						return nil
					case ctx.Err() != nil:
						return nil
					case errors.Is(err, mutex.ErrLocked), errors.Is(err, session.ErrLost):
					default:
						return err
					}
				}
			}()
		})
	}
	return &wg
}

// trusts asks the holder until it says no, and notes when it last said yes.
func (tr *trial) trusts() {
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		asked := time.Since(clock)
		if tr.hold.Check() != nil {
			tick.Stop()
			return
		}
		tr.checked = asked
	}
}

// overlap is for how long two had the lock; negative if there was a gap.
func (tr *trial) overlap() time.Duration { return tr.checked - time.Duration(tr.next.Load()) }

// TestConsulNodeDeregistered: a person takes the node of all leases out of the
// catalog while the holder cannot hear of it. All sessions end at once.
//
// Then the same with others whose leases are on another node, which is how it
// would be without the rule, to show that this test can fail.
func TestConsulNodeDeregistered(t *testing.T) {
	const runs = 100
	c := servers.StartConsul(t, 1)
	t.Run("one node", func(t *testing.T) {
		overlaps := deregistered(t, c, runs, func(i int) (string, string) { return fmt.Sprint("one-", i), fmt.Sprint("one-", i) })
		require.Zero(t, overlaps, "of %d runs", runs)
	})
	t.Run("two nodes", func(t *testing.T) {
		overlaps := deregistered(t, c, 10, func(i int) (string, string) { return fmt.Sprint("two-", i), fmt.Sprint("another-", i) })
		t.Logf("%d overlaps in 10 runs", overlaps)
		require.Greater(t, overlaps, 5)
	})
}

// deregistered returns in how many runs two had the lock. nodes tells the node
// of the holder's leases and of the others'.
func deregistered(t *testing.T, c *servers.Consul, runs int, nodes func(int) (string, string)) (overlaps int) {
	const atOnce = 10 // an agent takes 200 connections from this address
	for begin := 0; begin < runs; begin += atOnce {
		t.Run(fmt.Sprint("from ", begin), func(t *testing.T) {
			client := c.Client(t, 0)
			var wg sync.WaitGroup
			var trials []*trial
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for i := begin; i < min(begin+atOnce, runs); i++ {
				mine, others := nodes(i)
				tr := newTrial(t, mine, nodeTTL, few(t, c, mine, 0), few(t, c, others, 0))
				trials = append(trials, tr)
				contenders := tr.contend(ctx)
				wg.Go(contenders.Wait)
				wg.Go(func() {
					tr.link.Partition(true, true)
					_, err := client.Catalog().Deregister(&api.CatalogDeregistration{Node: mine}, nil)
					if err != nil {
						t.Error(err)
					}
					tr.trusts()
				})
			}
			wg.Wait()
			for _, tr := range trials {
				require.NoError(t, errors.Join(<-tr.errs, <-tr.errs))
				require.NotZero(t, tr.next.Load(), "%s: nobody got the lock", tr.name)
				require.NotZero(t, tr.checked)
				if tr.overlap() > 0 {
					overlaps++
				}
				tr.link.Heal()
			}
		})
	}
	return overlaps
}

// few opens a store that takes few connections, on members of the cluster.
func few(t testing.TB, c *servers.Consul, node string, members ...int) *consul.Store {
	t.Helper()
	var clients []*api.Client
	for _, i := range members {
		clients = append(clients, c.Client(t, i))
	}
	store, err := consul.New(clients[0], &consul.Options{
		Node: node, Failover: clients[1:], MinTTL: shortTTL, MaxCalls: 1, MaxPolls: 1, ProbeEvery: 600 * time.Millisecond,
	})
	require.NoError(t, err)
	return store
}

// TestConsulAgentLeaves: a client agent leaves, which takes its node and all
// sessions made there out of Consul. Ours are on no agent's node: whoever has
// another address goes on, and whoever has not is succeeded in time.
func TestConsulAgentLeaves(t *testing.T) {
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{Clients: 1})
	for round := range rounds() {
		if round > 0 {
			c.Member(1).Restart()
			require.NoError(t, c.Ready(within(t, patience)))
		}
		name := fmt.Sprint("leaves-", round)
		t.Run(name, func(t *testing.T) { nodeGoes(t, c, name, 1, c.Member(1).Terminate) })
	}
}

// TestConsulServerReaped: a server dies, and the leader takes it out of the
// catalog, with all sessions made there.
func TestConsulServerReaped(t *testing.T) {
	c := servers.StartConsulWith(t, 3, &servers.ConsulOptions{CleanupDead: true})
	var victim int
	for round := range rounds() {
		if round > 0 {
			c.Member(victim).Restart()
			require.NoError(t, c.Ready(within(t, patience)))
		}
		leader, err := c.Leader(within(t, patience))
		require.NoError(t, err)
		victim = (leader + 1) % 3
		name := fmt.Sprint("reaped-", round)
		t.Run(name, func(t *testing.T) { nodeGoes(t, c, name, victim, c.Member(victim).Kill) })
	}
}

// rounds is how often a node goes from under 25 holders.
func rounds() int {
	if os.Getenv("QUORATE_LONG") != "" {
		return 4
	}
	return 1
}

// nodeGoes has many hold a lock by way of member gone, half of whom know
// another member, makes that one's node go away, and requires that nobody else
// has a lock while its holder trusts to have it.
func nodeGoes(t *testing.T, c *servers.Consul, name string, gone int, goes func()) {
	const node, holders = "quorate", 25
	stays := 0
	if gone == 0 {
		stays = 1
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	type half struct {
		*trial
		contenders *sync.WaitGroup
		keeps      bool
	}
	var trials []half
	others := few(t, c, node, stays)
	for i := range holders {
		members := []int{gone}
		if i%2 == 0 {
			members = append(members, stays)
		}
		tr := newTrial(t, fmt.Sprint(name, "-", i), agentTTL, few(t, c, node, members...), others)
		trials = append(trials, half{tr, tr.contend(ctx), i%2 == 0})
	}

	// What Consul does to others when that node goes.
	client := c.Client(t, stays)
	theirs, _, err := c.Client(t, gone).Session().Create(&api.SessionEntry{TTL: "1h", LockDelay: -1}, nil)
	require.NoError(t, err)
	session := func() *api.SessionEntry {
		s, _, err := client.Session().Info(theirs, nil)
		require.NoError(t, err)
		return s
	}
	require.NotNil(t, session())
	var trusting sync.WaitGroup
	for _, tr := range trials {
		if !tr.keeps {
			trusting.Go(tr.trusts)
		}
	}
	goes()
	for began := time.Now(); session() != nil; <-time.After(50 * time.Millisecond) {
		require.Less(t, time.Since(began), patience, "the node of the member does not go")
	}

	trusting.Wait()
	for _, tr := range trials {
		if tr.keeps {
			require.NoError(t, tr.hold.Check(), "%s: lost a lock that was his", tr.name)
			require.Zero(t, tr.next.Load(), tr.name)
			if err := tr.hold.Unlock(); err != nil {
				require.ErrorIs(t, err, adapters.ErrUnknown)
			}
		}
		tr.contenders.Wait()
		require.NoError(t, errors.Join(<-tr.errs, <-tr.errs))
		require.NotZero(t, tr.next.Load(), "%s: nobody got the lock", tr.name)
		if !tr.keeps {
			require.LessOrEqual(t, tr.overlap(), time.Duration(0), tr.name)
		}
		for _, s := range append(tr.others, tr.holder) {
			_ = s.Close()
		}
	}
}
