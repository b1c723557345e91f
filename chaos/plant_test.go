// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"flag"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/internal/links"
	"github.com/quorate/quorate/internal/servers"
)

var keepConvicted = flag.String("keep", "", "write the histories of what TestConvicts convicts to folders in `DIR`, cut short")

// convictions are what the suite must be able to find, each with what goes wrong
// meanwhile, and the rules that find it.
var convictions = []conviction{
	{plantReceipt, "etcd", 3, lateThenLost, holder, safe, []string{"overlap", "linear", "expired"}},
	{plantUnfenced, "etcd", 2, stopLong, holder, safe, []string{"fence"}},
	{plantNeighbor, "etcd", 2, killed, waiter, safe, []string{"overlap", "linear"}},
	{plantRelease, "etcd", 2, resetOnce, holder, safe, []string{"order", "overlap", "linear"}},
	{plantMutex, "etcd", 2, blackHole, holder, safe, []string{"overlap", "linear"}},
	{plantLock, "consul", 1, holeAtServer, holder, safe, []string{"overlap", "linear"}},
	{plantHidden, "etcd", 2, nothingWrong, anybody, live, []string{"unlock", "heal"}},
	{plantDeaf, "etcd", 2, nothingWrong, anybody, live, []string{"wait"}},
	{plantEnd, "etcd", 2, nothingWrong, anybody, live, []string{"left", ruleRun}},
}

// By what bounds they are judged: with those of the second, that nothing goes on is
// found within seconds.
var (
	safe = check.Bounds{Got: 1}
	live = check.Bounds{Got: 1, Liveness: true, Heal: 2 * time.Second, Lease: time.Second}
)

type conviction struct {
	plant   string
	backend string
	ttl     int // seconds
	nemesis nemesis
	at      who
	bounds  check.Bounds
	rules   []string
}

var (
	lateThenLost = nemesis{name: "late, then cut", quorum: true, act: lateThenCut}
	stopLong     = nemesis{name: "stop long", quorum: true, act: func(r *run, n nemesis) { clientStopped(r, n, 2*r.ttl+r.ttl/2) }}
	killed       = nemesis{name: "kill", quorum: true, act: clientKilled}
	resetOnce    = nemesis{name: "reset", quorum: true, act: func(r *run, n nemesis) { resets(r, n, 1) }}
	blackHole    = nemesis{name: "black hole", quorum: true, act: func(r *run, n nemesis) { swallowed(r, n, links.Requests, links.Answers) }}
	nothingWrong = nemesis{name: "nothing", quorum: true, act: looksOn}
	holeAtServer = nemesis{name: "black hole", quorum: true, act: holeUntilExpiry}
)

// TestConvicts: a run in which something is wrong that must not be is convicted,
// by the rules that are there for it, and the same run without it is not. Seven
// defects have been put in; two locks of others are as they come.
func TestConvicts(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: waits for leases, on real servers")
	}
	clusters := map[string]cluster{
		"etcd":   etcdCluster{servers.StartEtcd(t, 1)},
		"consul": servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true}),
	}
	var seeds uint64 = 100
	begin := func(t *testing.T, seed uint64, backend, plant string, ttl int) *run {
		return newRun(t, setting{backend: backend, cluster: clusters[backend], clients: 3, ttl: time.Duration(ttl) * time.Second, seed: seed, plant: plant})
	}
	var wg sync.WaitGroup // they wait for leases: all at once, however few processors there are
	defer wg.Wait()
	for _, c := range convictions {
		seeds++ // each has keys of its own
		seed := seeds
		wg.Go(func() {
			t.Run(c.plant, func(t *testing.T) { convict(begin(t, seed, c.backend, c.plant, c.ttl), c) })
		})
	}
	for _, c := range []struct {
		plant   string
		backend string
		ttl     int
		at      who
		bounds  check.Bounds
		nemeses []nemesis
	}{
		{plantNone, "etcd", 2, holder, safe, []nemesis{lateThenLost, stopLong, killed, resetOnce, blackHole}},
		{plantNone, "consul", 1, holder, safe, []nemesis{blackHole, stopLong, killed}},
		{plantNoneFast, "etcd", 2, anybody, live, []nemesis{nothingWrong, resetOnce, nothingWrong}},
	} {
		seeds++
		seed := seeds
		wg.Go(func() {
			t.Run(c.plant+" on "+c.backend, func(t *testing.T) {
				acquit(begin(t, seed, c.backend, c.plant, c.ttl), c.at, c.nemeses, c.bounds)
			})
		})
	}
}

// acquit has each nemesis at work once, on what has no defect.
func acquit(r *run, at who, all []nemesis, b check.Bounds) {
	r.start()
	for _, n := range all {
		n.act(r.aimed(at), n)
		pause(r.Context(), b.Heal) // by then all is well again
	}
	pause(r.Context(), r.ttl/2)
	require.Empty(r, r.ends(b))
}

// ends ends a run and returns all that is found. Where progress is due nobody is
// killed, so that nothing may be left.
func (r *run) ends(b check.Bounds) []check.Violation {
	mode := safety
	if b.Liveness {
		mode, r.calmed = liveness, true
	}
	r.finish(mode)
	return append(judged(r, b), r.blame.all()...)
}

// convict has a nemesis at work until the rules have found what they must. Chance
// has a part in whom it hits in what, so it may take more than one.
func convict(r *run, c conviction) {
	const most = 8
	r.resource.open = c.plant == plantUnfenced
	r.start()
	began, tries := time.Now(), 0
	sooner := slices.DeleteFunc(slices.Clone(c.rules), func(rule string) bool { return rule == "left" || rule == ruleRun })
	for found := []check.Violation(nil); tries == 0 || tries < most && !allOf(found, sooner); found = judged(r, c.bounds) {
		tries++
		c.nemesis.act(r.aimed(c.at), c.nemesis)
		pause(r.Context(), max(r.ttl/2, c.bounds.Heal+r.ttl/4))
	}
	took := time.Since(began)
	rules := convicting(r.ends(c.bounds))
	r.Logf("%d times %s, %v: convicted by %v", tries, c.nemesis.name, took.Round(time.Millisecond), slices.Sorted(maps.Keys(rules)))
	for _, rule := range c.rules {
		require.Contains(r, rules, rule, "does not convict %s", c.plant)
		delete(rules, rule)
	}
	// Nothing else is wrong with it, but for what goes with it.
	with := []string{"overlap", "linear", "fence", "expired"}
	if c.bounds.Liveness {
		with = []string{"unlock", "heal", "vacuous"} // what stands still hands nothing over
	}
	for rule, first := range rules {
		require.Contains(r, with, rule, first.String())
	}
	if *keepConvicted != "" && !slices.Contains(c.rules, ruleRun) { // that is in no history
		keepRun(r, filepath.Join(*keepConvicted, strings.ReplaceAll(c.plant, " ", "-")), c)
	}
}

// judged is what is found in what has been written by now.
func judged(r *run, b check.Bounds) []check.Violation {
	h, err := history.Load(r.dir)
	require.NoError(r, err)
	return check.All(h, b)
}

// convicting returns the first violation of each rule.
func convicting(found []check.Violation) map[string]check.Violation {
	rules := map[string]check.Violation{}
	for _, v := range found {
		if _, ok := rules[v.Rule]; !ok {
			rules[v.Rule] = v
		}
	}
	return rules
}

func allOf(found []check.Violation, rules []string) bool {
	have := convicting(found)
	for _, r := range rules {
		if _, ok := have[r]; !ok {
			return false
		}
	}
	return true
}

// looksOn does nothing, but is there after a while of peace: what goes wrong does
// so by itself.
func looksOn(r *run, n nemesis) {
	pause(r.Context(), peace)
	effect, end := r.begin(n, "nobody")
	pause(r.Context(), 100*time.Millisecond)
	effect("was there")
	end()
}

// holeUntilExpiry swallows what goes over a link until the server has ended all
// sessions of its client, and for a while after that. Consul's own lock does not
// tell, and need not know.
func holeUntilExpiry(r *run, n nemesis) {
	client := r.cluster.(*servers.Consul).Client(r.T, 0)
	p := r.pick()
	effect, end := r.begin(n, p.name)
	p.link.Swallow(links.Requests, links.Answers)
	for began := time.Now(); time.Since(began) < 5*r.ttl; pause(r.Context(), 50*time.Millisecond) {
		all, _, err := client.Session().List(nil)
		require.NoError(r, err)
		left := 0
		for _, s := range all {
			if s.Name == p.name {
				left++
			}
		}
		if left == 0 {
			effect("its sessions have ended after %v", time.Since(began).Round(time.Millisecond))
			break
		}
	}
	pause(r.Context(), r.ttl)
	p.link.Heal()
	end()
}
