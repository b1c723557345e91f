// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/shard/planner"
)

// rolled is what it took to replace all members.
type rolled struct {
	moves float64 // per shard
	peak  float64 // most shards of a member at any time, per even share then
	after int     // most shards of a member less fewest, in the end
}

// rollOut replaces all members by others of another version. Each element of style is a
// plan: -1 is that one leaves, 1 that one joins, 0 that one leaves and one joins.
func rollOut(t *testing.T, shards, n int, prefer bool, style ...int) rolled {
	t.Helper()
	in := planner.Input{Shards: shards}
	for i := range n {
		in.Members = append(in.Members, planner.Member{ID: fmt.Sprintf("old%02d", i), Version: "v1"})
	}
	p, err := planner.Make(in)
	require.NoError(t, err)
	if prefer {
		in.Prefer = "v2"
	}
	var r rolled
	moves := 0
	for i := range n {
		for _, what := range style {
			if what <= 0 {
				in.Members = slices.DeleteFunc(slices.Clone(in.Members), func(m planner.Member) bool { return m.ID == fmt.Sprintf("old%02d", i) })
			}
			if what >= 0 {
				in.Members = append(slices.Clone(in.Members), planner.Member{ID: fmt.Sprintf("new%02d", (i*7)%n), Version: "v2"})
			}
			in.Prev = p.Table
			p, err = planner.Make(in)
			require.NoError(t, err)
			if shards < 1000 {
				require.NoError(t, verify(in, p))
			}
			moves += len(p.Moves)
			most, least := 0, shards
			for _, m := range p.Members {
				most, least = max(most, m.Has), min(least, m.Has)
			}
			r.peak = max(r.peak, float64(most*len(p.Members))/float64(shards))
			r.after = most - least
		}
	}
	r.moves = float64(moves) / float64(shards)
	return r
}

// TestRollOut pins what it takes to replace all members, one after another: per shard
// about one move, and no member much fuller than it may be overfilled.
//
// Leave first cannot do with less than 1 + 2/n: who leaves first gives to members that
// have yet to go, and who joins last gets from members that are new already.
func TestRollOut(t *testing.T) {
	for _, c := range []struct {
		style         string
		plans         []int
		n             int
		without, with float64 // moves per shard
		peak          float64 // of the even share, with Prefer
	}{
		{"both", []int{0}, 3, 1, 1, 1.0},
		{"both", []int{0}, 10, 1, 1, 1.0},
		{"both", []int{0}, 30, 1, 1, 1.0},
		{"surge", []int{1, -1}, 3, 1.5, 1.21, 1.5},
		{"surge", []int{1, -1}, 10, 1.81, 1.12, 1.5},
		{"surge", []int{1, -1}, 30, 1.93, 1.05, 1.5},
		{"leave", []int{-1, 1}, 3, 2, 1.83, 1.5},
		{"leave", []int{-1, 1}, 10, 1.99, 1.33, 1.5},
		{"leave", []int{-1, 1}, 30, 1.98, 1.11, 1.5},
	} {
		for _, shards := range []int{256, 4096} {
			without, with := rollOut(t, shards, c.n, false, c.plans...), rollOut(t, shards, c.n, true, c.plans...)
			t.Logf("%s %dx%d: without Prefer %+v, with %+v", c.style, shards, c.n, without, with)
			require.InDelta(t, c.without, without.moves, 0.04)
			require.InDelta(t, c.with, with.moves, 0.02)
			require.Less(t, with.peak, c.peak+float64(2*c.n)/float64(shards)) // the latter is for rounding
			require.LessOrEqual(t, with.after, 1)
		}
	}
}
