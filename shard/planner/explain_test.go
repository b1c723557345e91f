// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/shard/planner"
)

// TestExplain holds the words for every case.
func TestExplain(t *testing.T) {
	a, b, c := planner.Member{ID: "a"}, planner.Member{ID: "b"}, planner.Member{ID: "c"}
	small, drains := planner.Member{ID: "a", Capacity: 1}, planner.Member{ID: "a", Draining: true}
	table := func(owner ...int32) planner.Table {
		return planner.Table{Members: []string{"a", "b", "gone"}, Owner: owner}
	}
	for _, e := range []struct {
		name  string
		in    planner.Input
		shard int
		want  string
	}{
		{"no such shard", planner.Input{Shards: 2}, 2, "shard 2: there is none, they are numbered from 0 to 1"},
		{"negative", planner.Input{Shards: 2}, -1, "shard -1: there is none, they are numbered from 0 to 1"},
		{"no member", planner.Input{Shards: 2}, 0, "shard 0: nobody has the capacity for it"},
		{"first", planner.Input{Shards: 2, Members: []planner.Member{a}}, 1, "shard 1: had no owner, goes to a, who had 0, has 2 and is due 2"},
		{"first, pinned", planner.Input{Shards: 2, Members: []planner.Member{a}, Pins: map[int]string{1: "a"}}, 1, "shard 1: had no owner, goes to a, who had 0, has 2 and is due 2; it is pinned there"},
		{"stays", planner.Input{Shards: 3, Members: []planner.Member{a, b}, Prev: table(0, 0, 1)}, 0, "shard 0: stays with a, who had 2, has 2 and is due 1 to 2"},
		{"orphan", planner.Input{Shards: 2, Members: []planner.Member{a, b}, Prev: table(0, 2)}, 1, "shard 1: goes to b, who had 0, has 1 and is due 1: its owner gone is not there any more"},
		{"orphan, no room", planner.Input{Shards: 2, Members: []planner.Member{small}, Prev: table(0, 2)}, 1, "shard 1: nobody has the capacity for it"},
		{"balance", planner.Input{Shards: 2, Members: []planner.Member{a, b}, Prev: table(0, 0)}, 0, "shard 0: goes from a, who had 2, has 1 and is due 1, to b, who had 0, has 1 and is due 1"},
		{"drain", planner.Input{Shards: 2, Members: []planner.Member{drains, b}, Prev: table(0, 1)}, 0, "shard 0: goes to b, who had 1, has 2 and is due 2: its owner a is draining"},
		{"drain, no room", planner.Input{Shards: 2, Members: []planner.Member{drains}, Prev: table(0, 0)}, 0, "shard 0: stays with a, who had 2, has 2 and is due 0 to 2"},
		{"dropped", planner.Input{Shards: 2, Members: []planner.Member{small}, Prev: table(0, 0)}, 0, "shard 0: leaves a, who had 2, has 1 and is due 1; nobody has the capacity for it"},
		{"pin", planner.Input{Shards: 2, Members: []planner.Member{a, b}, Prev: table(0, 1), Pins: map[int]string{0: "b"}}, 0, "shard 0: goes from a to b: it is pinned there"},
		{"pinned already", planner.Input{Shards: 2, Members: []planner.Member{a, b}, Prev: table(0, 1), Pins: map[int]string{0: "a"}}, 0, "shard 0: stays with a, to whom it is pinned"},
		{"pinned to nobody", planner.Input{Shards: 2, Members: []planner.Member{a, b}, Prev: table(0, 1), Pins: map[int]string{0: "x"}}, 0, "shard 0: is pinned to x, who is not there; stays with a, who had 1, has 1 and is due 1"},
		{"pinned to draining", planner.Input{Shards: 2, Members: []planner.Member{drains, b}, Prev: table(0, 1), Pins: map[int]string{0: "a"}}, 0, "shard 0: is pinned to a, who is draining; goes to b, who had 1, has 2 and is due 2: its owner a is draining"},
		{"pinned too many", planner.Input{Shards: 2, Members: []planner.Member{small, b}, Prev: table(0, 1), Pins: map[int]string{0: "a", 1: "a"}}, 1, "shard 1: is pinned to a, who has his capacity of 1 pinned already; stays with b, who had 1, has 1 and is due 1"},
		{"load", planner.Input{Shards: 4, Members: []planner.Member{a, b}, Prev: table(0, 0, 1, 1), Load: []uint32{9, 8, 1, 1}, LoadSlack: 50}, 1, "shard 1: goes from a, who had 2, has 1 and a load of 9 and is due 1 to 3, to b, who had 2, has 3 and a load of 10 and is due 1 to 3: for the sake of load"},
		{"deferred", planner.Input{Shards: 4, Members: []planner.Member{a, b}, Prev: table(0, 0, 0, 0), MaxMoves: 1}, 2, "shard 2: stays with a, who had 4, has 3 and is due 2"},
		{"several", planner.Input{Shards: 4, Members: []planner.Member{a, b, c}, Prev: table(0, 0, 0, 0)}, 3, "shard 3: goes from a, who had 4, has 2 and is due 1 to 2, to c, who had 0, has 1 and is due 1 to 2"},
	} {
		p := must(t, e.in)
		require.Equal(t, e.want, p.Explain(e.shard), e.name)
	}
}

// TestString holds the plan as text, with all that can be in it.
func TestString(t *testing.T) {
	p := must(t, planner.Input{
		Shards:  6,
		Members: []planner.Member{{ID: "a", Capacity: 1}, {ID: "b", Capacity: 2}, {ID: "c", Draining: true}},
		Prev:    planner.Table{Members: []string{"a", "gone", "c"}, Owner: []int32{0, 0, 0, 1, 1, 2}},
		Load:    []uint32{1, 2, 3, 4, 5, 6}, MaxMoves: 1,
	})
	require.Equal(t, "6 shards, 3 members, 2 moves (fewest possible 3), 1 left for later, 1 without an owner\n"+
		"a\thad 3\thas 2\tdue 1 to 1\tload 5\n"+
		"b\thad 0\thas 2\tdue 2 to 2\tload 5\n"+
		"c\thad 1\thas 1\tdue 0 to 1\tload 6\tdraining\n", p.String())
	p = must(t, planner.Input{Shards: 6, Members: []planner.Member{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}}})
	require.Equal(t, "6 shards, 4 members, 6 moves (fewest possible 6)\n"+
		"a\thad 0\thas 2\tdue 1 to 2\n"+
		"b\thad 0\thas 1\tdue 1 to 2\n"+
		"c\thad 0\thas 1\tdue 1 to 2\n"+
		"d\thad 0\thas 2\tdue 1 to 2\n", p.String())
}

func TestReasons(t *testing.T) {
	for r, want := range []string{"none", "first", "orphan", "pin", "drain", "balance", "load", "none"} {
		require.Equal(t, want, planner.Reason(r).String())
	}
}
