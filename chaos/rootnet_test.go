// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/internal/servers"
)

// cuts are what is dropped where it arrives, so that a sender is not told.
type cuts map[string][]string // by network namespace: from which addresses

func (c cuts) add(from, to servers.Host) { c.addr(from.Addr, to) }

func (c cuts) addr(from string, to servers.Host) { c[to.Netns] = append(c[to.Netns], from) }

func (c cuts) both(a, b servers.Host) {
	c.add(a, b)
	c.add(b, a)
}

const rules = `table ip chaos {
	chain in {
		type filter hook input priority 0; policy accept;
		ip saddr { %s } counter drop;
	}
}
`

// make makes all cuts, and returns what ends them.
func (c cuts) make(r *run) (heal func()) {
	r.Helper()
	heal = sync.OnceFunc(func() {
		for ns := range c {
			if _, err := try("", "ip netns exec %s nft delete table ip chaos", ns); err != nil {
				r.Error(err)
			}
		}
	})
	for ns, from := range c {
		if _, err := try(fmt.Sprintf(rules, strings.Join(from, ", ")), "ip netns exec %s nft -f -", ns); err != nil {
			heal()
			require.NoError(r, err)
		}
	}
	return heal
}

var counted = regexp.MustCompile(`counter packets (\d+)`)

// dropped returns how many packets were dropped by now.
func (c cuts) dropped(r *run) (sum int) {
	for ns := range c {
		out, err := try("", "ip netns exec %s nft list table ip chaos", ns)
		require.NoError(r, err)
		for _, m := range counted.FindAllStringSubmatch(out, -1) {
			n, err := strconv.Atoi(m[1])
			require.NoError(r, err)
			sum += n
		}
	}
	return sum
}

func (r *run) hosts() (all []servers.Host) {
	for _, m := range r.cluster.Servers() {
		all = append(all, m.Host())
	}
	return all
}

// deposed cuts off a leader in some way for at least one and a half TTLs.
func (r *run) deposed(n nemesis, leader int, on string, c cuts) {
	effect, end := r.begin(n, on)
	over := time.After(r.ttl + r.ttl/2)
	heal := c.make(r)
	defer heal()
	next := r.another(leader, 10*time.Second)
	<-over
	if dropped := c.dropped(r); next >= 0 && dropped > 0 {
		effect("server %d leads, %d packets were dropped", next, dropped)
	}
	heal()
	r.ready()
	end()
}

// leaderCutOff: clients still reach it.
func leaderCutOff(r *run, n nemesis) {
	leader, _ := r.member(true)
	all, c := r.hosts(), cuts{}
	for i, h := range all {
		if i != leader {
			c.both(all[leader], h)
		}
	}
	r.deposed(n, leader, fmt.Sprint("server ", leader), c)
}

// oneWay: a leader that is not heard, or hears nothing.
func oneWay(r *run, n nemesis) {
	leader, _ := r.member(true)
	all, c := r.hosts(), cuts{}
	deaf := r.rng.IntN(2) == 0
	for i, h := range all {
		switch {
		case i == leader:
		case deaf:
			c.add(h, all[leader])
		default:
			c.add(all[leader], h)
		}
	}
	what := "not heard"
	if deaf {
		what = "deaf"
	}
	r.deposed(n, leader, fmt.Sprintf("server %d, %s", leader, what), c)
}

// ring: the leader and a follower do not see each other, the third sees both.
func ring(r *run, n nemesis) {
	i, leader := r.member(false)
	all, c := r.hosts(), cuts{}
	c.both(all[i], all[leader])
	effect, end := r.begin(n, fmt.Sprintf("servers %d and %d", i, leader))
	over := time.After(r.ttl + r.ttl/2)
	heal := c.make(r)
	defer heal()
	err := r.refuses(i, time.Second)
	next := r.another(leader, time.Second)
	<-over
	switch dropped := c.dropped(r); {
	case dropped == 0:
	case next >= 0:
		effect("server %d leads, %d packets were dropped", next, dropped)
	case err != nil:
		effect("server %d takes no write: %v; %d packets were dropped", i, err, dropped)
	}
	heal()
	r.ready()
	end()
}

// outOfReach: clients do not reach a server, the other servers do.
func outOfReach(r *run, n nemesis) {
	i, leader := r.member(r.rng.IntN(2) == 0)
	h, c := r.hosts()[i], cuts{}
	c.addr(gatewayOf(h), h)
	effect, end := r.begin(n, fmt.Sprint("server ", i))
	over := time.After(r.ttl + r.ttl/2)
	heal := c.make(r)
	defer heal()
	err := r.refuses(i, time.Second)
	others := r.refuses((i+1)%3, 5*time.Second)
	<-over
	if dropped := c.dropped(r); err != nil && others == nil && dropped > 0 {
		effect("no answer: %v; others take writes, %d leads; %d packets were dropped", err, leader, dropped)
	}
	heal()
	r.ready()
	end()
}
