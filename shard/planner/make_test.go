// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/shard/planner"
)

func TestJoinAndLeave(t *testing.T) {
	ms := members(4)
	p := must(t, planner.Input{Shards: 100, Members: ms[:3]})
	require.Len(t, p.Moves, 100)
	q := must(t, planner.Input{Shards: 100, Members: ms, Prev: p.Table})
	require.Len(t, q.Moves, 25)
	r := must(t, planner.Input{Shards: 100, Members: ms[1:], Prev: q.Table})
	require.Len(t, r.Moves, 25)
}

// TestGoldenTable holds that the same table comes out on every machine and for ever:
// another one would move the shards of every group at the next release.
func TestGoldenTable(t *testing.T) {
	in := planner.Input{Shards: 32, Members: members(4)}
	for i := range in.Members {
		in.Members[i].Weight = 50 * (i + 1)
	}
	p := must(t, in)
	require.Equal(t, []int32{2, 0, 1, 1, 0, 3, 1, 2, 2, 3, 1, 2, 3, 0, 1, 2, 3, 2, 2, 2, 1, 3, 3, 2, 2, 3, 3, 3, 3, 3, 3, 3}, p.Table.Owner)
	in.Seed, in.Prev, in.Members = 7, p.Table, in.Members[1:]
	require.Equal(t, []int32{1, 1, 0, 0, 2, 2, 0, 1, 1, 2, 0, 1, 2, 0, 0, 1, 2, 1, 1, 1, 0, 2, 2, 1, 1, 2, 2, 2, 2, 2, 2, 2}, must(t, in).Table.Owner)
}

// TestLargest holds that nothing overflows at the limits of an Input.
func TestLargest(t *testing.T) {
	in := planner.Input{Shards: planner.MaxShards, Members: members(planner.MaxMembers)}
	for i := range in.Members {
		in.Members[i].Weight = planner.MaxWeight
		in.Members[i].Zone = []string{"a", "b", "c"}[i%3]
		if i > 0 {
			in.Prev.Members = append(in.Prev.Members, in.Members[i].ID)
		}
	}
	for s := range in.Shards {
		in.Prev.Owner = append(in.Prev.Owner, int32(s%len(in.Prev.Members)))
	}
	p := must(t, in)
	require.Len(t, p.Moves, 16)
	for _, m := range p.Members {
		require.Equal(t, 16, m.Has)
	}
}

// TestInputIsKept holds that Make changes nothing of what it is given.
func TestInputIsKept(t *testing.T) {
	d := dice42()
	for range times(200) {
		w := newWorld(d, 40, 8)
		for range 8 {
			w.change()
			in := w.in
			in.Members, in.Load, in.Pins = slices.Clone(in.Members), slices.Clone(in.Load), w.pins()
			in.Prev.Members, in.Prev.Owner = slices.Clone(in.Prev.Members), slices.Clone(in.Prev.Owner)
			p := must(t, w.in)
			require.Equal(t, in.Members, w.in.Members)
			require.Equal(t, in.Prev, w.in.Prev)
			require.Equal(t, in.Load, w.in.Load)
			require.Equal(t, in.Pins, w.pins())
			w.in.Prev = p.Table
		}
	}
}

// TestDraining holds who keeps what when there is no room for it.
func TestDraining(t *testing.T) {
	ms := []planner.Member{{ID: "a", Draining: true, Zone: "x"}, {ID: "b", Capacity: 3, Zone: "y"}}
	prev := planner.Table{Members: []string{"a"}, Owner: make([]int32, 10)}
	p := must(t, planner.Input{Shards: 10, Members: ms, Prev: prev})
	require.Empty(t, p.Unowned)
	require.Equal(t, 7, p.Members[0].Has)
	require.Equal(t, 3, p.Members[1].Has)

	// All drain: everybody keeps what he has, and nobody gets what has no owner.
	prev.Owner[4] = planner.Nobody
	p = must(t, planner.Input{Shards: 10, Members: ms[:1], Prev: prev})
	require.Equal(t, []int{4}, p.Unowned)
	require.Empty(t, p.Moves)
}

// TestNobody holds that a plan without members is a plan.
func TestNobody(t *testing.T) {
	p := must(t, planner.Input{Shards: 3})
	require.Equal(t, []int{0, 1, 2}, p.Unowned)
	require.Empty(t, p.Moves)
	require.Empty(t, p.Table.OwnerOf(1))
	require.Empty(t, p.Table.OwnerOf(-1))
	require.Empty(t, p.Table.OwnerOf(3))
}

// TestCapacityLost holds that a shard is not dropped for one that has no owner.
func TestCapacityLost(t *testing.T) {
	p := must(t, planner.Input{
		Shards: 8, Members: []planner.Member{{ID: "a", Capacity: 3}, {ID: "b", Capacity: 2}},
		Prev: planner.Table{Members: []string{"a", "b", "gone"}, Owner: []int32{2, 2, 2, 0, 0, 0, 0, 1}},
	})
	require.Len(t, p.Moves, 1)
	require.Equal(t, planner.Balance, p.Moves[0].Why)
	require.Equal(t, "b", p.Moves[0].To)
	require.Equal(t, []int{0, 1, 2}, p.Unowned)
}

// TestInvalid holds what each bad input is answered with.
func TestInvalid(t *testing.T) {
	owners := func(n ...int32) planner.Table { return planner.Table{Members: []string{"a"}, Owner: n} }
	for _, c := range []struct {
		in   planner.Input
		want string
	}{
		{planner.Input{}, "Shards is 0, must be from 1 to 1048576"},
		{planner.Input{Shards: 1<<20 + 1}, "Shards is 1048577, must be from 1 to 1048576"},
		{planner.Input{Shards: 2, Members: make([]planner.Member, 1<<16+1)}, "Members has 65537, limit 65536"},
		{planner.Input{Shards: 2, Members: []planner.Member{{}}}, "Members: an ID is empty"},
		{planner.Input{Shards: 2, Members: []planner.Member{{ID: "a"}, {ID: "a"}}}, `Members: ID "a" is there twice`},
		{planner.Input{Shards: 2, Members: []planner.Member{{ID: "a", Weight: -1}}}, `Members: "a": Weight is -1, must be from 0 to 1048576`},
		{planner.Input{Shards: 2, Members: []planner.Member{{ID: "a", Weight: 1<<20 + 1}}}, `Members: "a": Weight is 1048577, must be from 0 to 1048576`},
		{planner.Input{Shards: 2, Members: []planner.Member{{ID: "a", Capacity: -1}}}, `Members: "a": Capacity is -1, must not be negative`},
		{planner.Input{Shards: 2, Prev: owners(0)}, "Prev has 1 shards, Shards is 2"},
		{planner.Input{Shards: 2, Prev: owners(0, 1)}, "Prev: owner of shard 1 is 1, there are 1 members"},
		{planner.Input{Shards: 2, Prev: owners(-2, 0)}, "Prev: owner of shard 0 is -2, there are 1 members"},
		{planner.Input{Shards: 2, Prev: planner.Table{Members: []string{"a", "a"}}}, `Prev: member "a" is there twice`},
		{planner.Input{Shards: 2, Prev: planner.Table{Members: []string{""}}}, "Prev: a member's ID is empty"},
		{planner.Input{Shards: 2, Pins: map[int]string{2: "a"}}, "Pins: shard is 2, must be from 0 to 1"},
		{planner.Input{Shards: 2, Pins: map[int]string{9: "a", -1: "a", 2: "b"}}, "Pins: shard is -1, must be from 0 to 1"},
		{planner.Input{Shards: 2, Load: []uint32{1}}, "Load has 1 shards, Shards is 2"},
		{planner.Input{Shards: 2, MaxMoves: 1 << 21}, "MaxMoves is 2097152, must be from 0 to 1048576"},
		{planner.Input{Shards: 2, LoadMoves: 1<<20 + 1}, "LoadMoves is 1048577, must be from 0 to 1048576"},
		{planner.Input{Shards: 2, Overfill: 1001}, "Overfill is 1001, must be from 0 to 1000"},
		{planner.Input{Shards: 2, LoadSlack: 101}, "LoadSlack is 101, must be from 0 to 100"},
		{planner.Input{Shards: 2, LoadStart: -1}, "LoadStart is -1, must be from 0 to 1000"},
		{planner.Input{Shards: 2, LoadStop: 1001}, "LoadStop is 1001, must be from 0 to 1000"},
	} {
		p, err := planner.Make(c.in)
		require.ErrorIs(t, err, planner.ErrInvalid)
		require.EqualError(t, err, "shard planner: invalid input: "+c.want)
		require.Zero(t, p)
	}
}
