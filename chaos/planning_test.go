// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlans: what a failing run prints is what -plan reads, with every nemesis
// that there is.
func TestPlans(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	all := slices.Concat(rounds(rng, allNemeses(), 2), pairs(rng, allNemeses(), 20))
	again, err := parsePlan(planned(all))
	require.NoError(t, err)
	require.Equal(t, planned(all), planned(again))
	require.Len(t, again, len(all))
	for _, bad := range []string{"", "kill;", "kill + ", "earthquake"} {
		_, err := parsePlan(bad)
		require.ErrorContains(t, err, "there is no nemesis", bad)
	}
}

// TestNemeses: names tell them apart, and lists of names name some that there are.
func TestNemeses(t *testing.T) {
	named := map[string]nemesis{}
	for _, n := range allNemeses() {
		require.NotContains(t, named, n.name)
		named[n.name] = n
	}
	for _, name := range slices.Concat(hitClients, hitAll, notShort) {
		require.Contains(t, named, name)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, s := range pairs(rng, allNemeses(), 100) {
		require.Contains(t, hitClients, s[0].name)
		require.NotContains(t, hitClients, s[1].name, "two that hit one client undo each other")
		require.NotContains(t, hitAll, s[1].name)
	}
	counts := map[string]int{}
	for _, s := range rounds(rng, allNemeses(), 3) {
		counts[s[0].name]++
	}
	for name := range named {
		require.Equal(t, 3, counts[name])
	}
}
