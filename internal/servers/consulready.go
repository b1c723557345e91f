// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/consul/api"
)

// Ready waits until every member that runs takes a write and answers it
// itself, sessions can be created there, and each server that runs is a voter.
// A frozen member never does.
func (c *Consul) Ready(ctx context.Context) error {
	for i := range c.members {
		if err := c.ready(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (c *Consul) ready(ctx context.Context, i int) error {
	m := c.members[i]
	p := m.last()
	if p.dead() {
		return m.failure()
	}
	client, done, err := c.probe(i)
	if err != nil {
		return err
	}
	defer done()
	for {
		// Consul lets a request wait for a leader for longer than it takes to
		// find one.
		try, done := context.WithTimeout(ctx, time.Second)
		stop := p.onEnd(done)
		err := c.serves(try, client, i)
		stop()
		done()
		if err == nil || p.dead() {
			return m.failure()
		}
		if cause := pause(ctx); cause != nil {
			return fmt.Errorf("member %s is not ready: %w (%w); %s", m.name, cause, err, p.tail())
		}
	}
}

// probe returns a client of our own. Consul answers 429 to the 201st connection
// of one host, so ours come from another than those of the test.
func (c *Consul) probe(i int) (client *api.Client, done func(), err error) {
	cfg := c.Config(i)
	if c.opts.Hosts == nil { // where they are, c.host is not
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.host)}}
		cfg.Transport.DialContext = from.DialContext
	}
	client, err = api.NewClient(cfg)
	return client, cfg.Transport.CloseIdleConnections, err
}

// serves says why member i is not ready yet.
func (c *Consul) serves(ctx context.Context, client *api.Client, i int) error {
	name := c.members[i].name
	_, err := client.KV().Put(&api.KVPair{Key: "quorate-servers", Value: []byte(name)}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return err
	}
	// Without this check, or while it is critical, no session is created there.
	checks, _, err := client.Health().Node(name, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	if err != nil {
		return err
	}
	if len(checks) == 0 || checks.AggregatedStatus() != api.HealthPassing {
		return errors.New("the node's health is not known or not passing")
	}
	if i >= c.servers {
		return nil
	}
	raft, err := client.Operator().RaftGetConfiguration((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return err
	}
	for _, s := range raft.Servers {
		if s.Node == name && s.Voter {
			return nil
		}
	}
	return errors.New("it is no voter")
}

// Leader returns the number of the server that leads, and waits for one.
func (c *Consul) Leader(ctx context.Context) (int, error) {
	for patience := 50 * time.Millisecond; ; patience = min(2*patience, time.Second) {
		if i, ok := c.leader(ctx, patience); ok {
			return i, nil
		}
		if err := pause(ctx); err != nil {
			return -1, fmt.Errorf("servers: no leader: %w", err)
		}
	}
}

// leader asks all servers at once, and believes one that says that it leads
// when a majority says the same: one that is frozen says nothing, and one that
// woke up from a freeze may be wrong.
func (c *Consul) leader(ctx context.Context, patience time.Duration) (int, bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	type answer struct {
		i      int
		leader string // by its address
	}
	answers := make(chan answer, c.servers)
	for i := range c.servers {
		go func() { answers <- answer{i, c.leaderOf(ctx, i)} }()
	}
	votes, at := make(map[string]int), make(map[string]int)
	for range c.servers {
		a := <-answers
		votes[a.leader]++
		if a.leader == c.rpc[a.i] {
			at[a.leader] = a.i
		}
		for leader, n := range votes {
			if i, ok := at[leader]; ok && n > c.servers/2 {
				return i, true
			}
		}
	}
	return -1, false
}

// leaderOf returns the address of who leads, according to server i. That is
// all that Consul tells at any time: its agent's own state, which has the term,
// waits for half a minute for a leader that is frozen.
func (c *Consul) leaderOf(ctx context.Context, i int) string {
	client, done, err := c.probe(i)
	if err != nil {
		return ""
	}
	defer done()
	leader, err := client.Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return ""
	}
	return leader
}
