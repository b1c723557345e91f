// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/shard/planner"
)

// lognormal returns the loads of shards of which some are much hotter than others.
func lognormal(shards int, sigma float64) []uint32 {
	d := rand.New(rand.NewPCG(1, 2))
	load := make([]uint32, shards)
	for s := range load {
		load[s] = uint32(1000 * math.Exp(sigma*d.NormFloat64()))
	}
	return load
}

// hottest returns the highest load of a member as a multiple of the average.
func hottest(p planner.Plan, load []uint32) float64 {
	sums := make([]float64, len(p.Table.Members))
	most, all := 0.0, 0.0
	for s, o := range p.Table.Owner {
		sums[o] += float64(load[s])
		all += float64(load[s])
		most = max(most, sums[o])
	}
	return most / (all / float64(len(sums)))
}

func must(t testing.TB, in planner.Input) planner.Plan {
	t.Helper()
	p, err := planner.Make(in)
	require.NoError(t, err)
	return p
}

// TestLoad holds what is documented: how uneven loads are if only counts are even,
// and how few moves make them even.
func TestLoad(t *testing.T) {
	for _, c := range []struct {
		shards, members int
		before, after   float64 // at most, of the average
		moved           float64 // at most, of all shards
	}{{4096, 100, 1.9, 1.2, 0.02}, {4096, 10, 1.2, 1.2, 0}} {
		in := planner.Input{Shards: c.shards, Members: members(c.members)}
		p := must(t, in)
		load := lognormal(c.shards, 1)
		before := hottest(p, load)
		require.Less(t, before, c.before)
		in.Load = load
		moved, plans := 0, 0
		for in.Prev = p.Table; ; in.Prev = p.Table {
			p = must(t, in)
			require.NoError(t, verify(in, p))
			if len(p.Moves) == 0 {
				break
			}
			plans++
			moved += len(p.Moves)
		}
		after := hottest(p, load)
		t.Logf("%dx%d: %.2f of the average before, %.3f after %d moves in %d plans", c.shards, c.members, before, after, moved, plans)
		require.LessOrEqual(t, float64(moved), c.moved*float64(c.shards))
		require.LessOrEqual(t, after, c.after) // so little does not start another plan
	}
}

// TestLoadOnceEven holds that all loads are even after one plan that may move enough.
func TestLoadOnceEven(t *testing.T) {
	in := planner.Input{Shards: 4096, Members: members(100)}
	in.Prev = must(t, in).Table
	in.Load, in.LoadMoves = lognormal(4096, 1), 4096
	p := must(t, in)
	require.Greater(t, hottest(planner.Plan{Table: in.Prev}, in.Load), 1.5)
	require.LessOrEqual(t, hottest(p, in.Load), 1.05)
	require.LessOrEqual(t, len(p.Moves), 4096*2/100)
	require.NoError(t, verify(in, p))
}

// TestLoadFlickers holds that loads which go up and down a bit move nothing.
func TestLoadFlickers(t *testing.T) {
	in := planner.Input{Shards: 4096, Members: members(100)}
	in.Prev = must(t, in).Table
	even := lognormal(4096, 1)
	in.Load, in.LoadMoves = even, 4096
	in.Prev = must(t, in).Table
	d := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		in.Load = make([]uint32, len(even))
		for s, l := range even {
			in.Load[s] = l * uint32(90+d.IntN(21)) / 100 // up to a tenth more or less
		}
		require.Empty(t, must(t, in).Moves)
	}
}

// TestLoadOfOneShard holds that a shard hotter than a member can bear does not wander.
func TestLoadOfOneShard(t *testing.T) {
	in := planner.Input{Shards: 12, Members: members(3), Load: make([]uint32, 12)}
	in.Load[5] = 1000
	p := must(t, in)
	for range 5 {
		in.Prev = p.Table
		p = must(t, in)
		require.Empty(t, p.Moves)
	}
}

// TestLoadOfMany holds that sums of loads do not overflow.
func TestLoadOfMany(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the largest plan there is takes a second")
	}
	in := planner.Input{Shards: planner.MaxShards, Members: members(3), Load: make([]uint32, planner.MaxShards)}
	for s := range in.Load {
		in.Load[s] = math.MaxUint32
	}
	for i := range in.Members {
		in.Members[i].Weight = planner.MaxWeight - i
	}
	in.LoadStart = 1000
	p := must(t, in)
	for _, m := range p.Members {
		require.Equal(t, uint64(m.Has)*math.MaxUint32, m.Load)
		require.InDelta(t, planner.MaxShards/3, m.Has, 3)
	}
	in.Prev = p.Table
	require.Empty(t, must(t, in).Moves)
}
