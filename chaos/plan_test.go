// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/chaos/results"
)

// Modes of a run. In both nobody may ever hold what somebody else holds.
const (
	// liveness: a quorum of the servers is kept, one nemesis is at work at a time,
	// and progress is due within the bounds of package check.
	liveness = "liveness"
	// safety: anything may happen, also two things at once, and nothing is due until
	// it is over.
	safety = "safety"
)

// A step is nemeses that are at work at the same time.
type step []nemesis

func (s step) String() string {
	var names []string
	for _, n := range s {
		names = append(names, n.name)
	}
	return strings.Join(names, " + ")
}

func planned(plan []step) string {
	var steps []string
	for _, s := range plan {
		steps = append(steps, s.String())
	}
	return strings.Join(steps, "; ")
}

// parsePlan reads what planned has written.
func parsePlan(text string) (plan []step, err error) {
	for _, part := range strings.Split(text, ";") {
		var s step
		for _, name := range strings.Split(part, "+") {
			name = strings.TrimSpace(name)
			i := slices.IndexFunc(allNemeses(), func(n nemesis) bool { return n.name == name })
			if i < 0 {
				return nil, fmt.Errorf("plan: there is no nemesis %q", name)
			}
			s = append(s, allNemeses()[i])
		}
		plan = append(plan, s)
	}
	return plan, nil
}

// on are the nemeses of a backend that can be here, and why others cannot.
func (r *run) on() (here []nemesis, missing map[string]string) {
	missing = map[string]string{}
	for _, n := range allNemeses() {
		if n.backend != "" && n.backend != r.backend {
			continue
		}
		if n.missing != nil {
			if why := n.missing(r); why != "" {
				missing[n.name] = why
				continue
			}
		}
		here = append(here, n)
	}
	return here, missing
}

// known are all nemeses of a backend, for the page.
func known(backend string) (all []results.Known) {
	for _, n := range allNemeses() {
		if n.backend == "" || n.backend == backend {
			mode := safety
			if n.quorum {
				mode = liveness
			}
			all = append(all, results.Known{Name: n.name, Mode: mode})
		}
	}
	return all
}

// peace is how long clients work between nemeses at least.
const peace = 2 * time.Second

// calm is so long that nothing of a nemesis is left, and then some: hand-overs are
// judged in it.
func (r *run) calm() time.Duration { return r.heal() + 3*time.Second }

// does plays one step, and waits for peace to come back. It says whether nemeses
// went as they should: one that broke off may have left anything behind.
func (r *run) does(s step, number int) bool {
	began := time.Now()
	var wg sync.WaitGroup
	var ended atomic.Int32
	for i, n := range s {
		own := r.with(uint64(1 + 2*number + i))
		wg.Go(func() {
			n.act(own, n)
			ended.Add(1)
		})
	}
	wg.Wait()
	if int(ended.Load()) < len(s) {
		r.wrong(s.String(), "the nemesis broke off")
		return false
	}
	over := history.Now()
	took := time.Since(began).Round(time.Millisecond)
	pause(r.Context(), peace/4)
	r.settles(over)
	healed := (history.Now() - over).Round(time.Millisecond)
	pause(r.Context(), peace-healed)
	r.Logf("%v: %v; all held again after %v at most", s, took, healed)
	return true
}

// rounds is a plan that has each nemesis so many times, in an order from the
// seed.
func rounds(rng *rand.Rand, of []nemesis, n int) (plan []step) {
	for range n {
		for _, i := range rng.Perm(len(of)) {
			plan = append(plan, step{of[i]})
		}
	}
	return plan
}

// pairs is a plan with two nemeses at once: one that hits a client, and one that
// hits servers.
func pairs(rng *rand.Rand, of []nemesis, n int) (plan []step) {
	var clients, servers []nemesis
	for _, n := range of {
		switch {
		case slices.Contains(hitClients, n.name):
			clients = append(clients, n)
		case !slices.Contains(hitAll, n.name):
			servers = append(servers, n)
		}
	}
	for range n {
		plan = append(plan, step{clients[rng.IntN(len(clients))], servers[rng.IntN(len(servers))]})
	}
	return plan
}

// hitClients are nemeses that hit one client, hitAll such that nothing else can
// be told from.
var (
	hitClients = []string{"kill", "stop short", "stop long", "stop by freezer", "black hole", "requests lost", "answers lost", "late, then cut", "reset", "flapping"}
	hitAll     = []string{"rolling restart", "all servers down", "compaction", "time of day"}
)

// split parts nemeses by what they leave.
func split(all []nemesis) (quorum, rest []nemesis) {
	for _, n := range all {
		if n.quorum {
			quorum = append(quorum, n)
		} else {
			rest = append(rest, n)
		}
	}
	return quorum, rest
}
