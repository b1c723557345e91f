// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	profile = flag.String("profile", "short", "short: most nemeses once; ci: all of them four times; soak: until -for is over")
	soakFor = flag.Duration("for", time.Hour, "how long a soak takes at least")
	seed    = flag.Uint64("seed", 1, "what the order of nemeses and their targets are drawn from; 0 draws it too")
	plan    = flag.String("plan", "", "instead of a profile: these nemeses, such as 'kill; reset + leader killed'")
	mode    = flag.String("mode", liveness, "of a -plan: liveness or safety")
	failed  = flag.String("failed", filepath.Join(os.TempDir(), "quorate-chaos"), "folder for runs that fail")
	stored  = flag.String("results", "", "folder to store what came out in")
)

func command(profile string, seed uint64) string {
	text := fmt.Sprintf("go test ./chaos -v -timeout 0 -run TestChaos -args -profile %s -seed %d", profile, seed)
	if profile == "soak" {
		text += " -for " + soakFor.String()
	}
	return text
}

// TestChaos has clients use all primitives on a cluster of three, while one
// nemesis after another is at work.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: waits for leases, on real servers")
	}
	if *seed == 0 {
		*seed = rand.Uint64N(1e6)
	}
	t.Run("etcd", func(t *testing.T) {
		t.Parallel()
		campaigns(t, setting{backend: "etcd", cluster: etcdCluster{startEtcd(t)}, clients: 5, ttl: 2 * time.Second, seed: *seed})
	})
	t.Run("consul", func(t *testing.T) {
		t.Parallel()
		campaigns(t, setting{backend: "consul", cluster: startConsul(t), clients: 5, ttl: 2 * time.Second, seed: *seed})
	})
}

func campaigns(t *testing.T, s setting) {
	if *plan != "" {
		steps, err := parsePlan(*plan)
		require.NoError(t, err)
		newCampaign(t, s, "plan").plays(*mode, func(*run) []step { return steps })
		return
	}
	c := newCampaign(t, s, *profile)
	switch *profile {
	case "short":
		c.short()
	case "ci":
		c.reports(30 * time.Second)
		c.ci()
	case "soak":
		c.reports(10 * time.Second)
		c.soak(*soakFor)
	default:
		t.Fatalf("-profile %q: there are short, ci and soak", *profile)
	}
}

// short has the nemeses that need no rights, once each.
func (c *campaign) short() {
	c.plays(liveness, func(r *run) (plan []step) {
		for _, n := range nemeses {
			if n.quorum && (n.backend == "" || n.backend == r.backend) && !slices.Contains(notShort, n.name) {
				plan = append(plan, step{n})
			}
		}
		return plan
	})
	c.plays(safety, func(r *run) []step {
		_, rest := split(nemeses)
		return append(rounds(r.rng, rest, 1), pairs(r.rng, nemeses, 1)...)
	})
}

// notShort are nemeses that others stand for in the short form.
var notShort = []string{"flapping", "requests lost", "follower stopped"}

// ci has all nemeses, four times each: a quarter of an hour.
func (c *campaign) ci() {
	c.plays(liveness, func(r *run) []step {
		here, _ := r.on()
		quorum, _ := split(here)
		return rounds(r.rng, quorum, 4)
	})
	c.plays(safety, func(r *run) []step {
		here, _ := r.on()
		_, rest := split(here)
		return append(rounds(r.rng, rest, 4), pairs(r.rng, here, 8)...)
	})
}

// soak draws runs until the time is over: in turn all that keep a quorum, one
// after the other, and a mix of everything, two at a time.
func (c *campaign) soak(d time.Duration) {
	for began := time.Now(); time.Since(began) < d && c.Context().Err() == nil; {
		c.plays(liveness, func(r *run) []step {
			here, _ := r.on()
			quorum, _ := split(here)
			return rounds(r.rng, quorum, 1)
		})
		c.plays(safety, func(r *run) []step {
			here, _ := r.on()
			_, rest := split(here)
			mix := append(rounds(r.rng, rest, 1), pairs(r.rng, here, 5)...)
			r.rng.Shuffle(len(mix), func(i, j int) { mix[i], mix[j] = mix[j], mix[i] })
			return mix
		})
	}
}
