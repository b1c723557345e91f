// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/shard/planner"
)

// forged returns a plan with another table, and all that it says of it right, so
// that only what is wrong with the table can be found.
func forged(in planner.Input, p planner.Plan, change func(owner []int32)) planner.Plan {
	p.Table.Owner = slices.Clone(p.Table.Owner)
	change(p.Table.Owner)
	p.Members, p.Moves, p.Unowned = slices.Clone(p.Members), nil, nil
	for i := range p.Members {
		p.Members[i].Has, p.Members[i].Load = 0, 0
	}
	sp := specify(in)
	for s, o := range p.Table.Owner {
		from, to := in.Prev.OwnerOf(s), p.Table.OwnerOf(s)
		if o == planner.Nobody {
			p.Unowned = append(p.Unowned, s)
		} else {
			p.Members[o].Has++
			if len(in.Load) > 0 {
				p.Members[o].Load += uint64(in.Load[s])
			}
		}
		m := planner.Move{Shard: s, From: from, To: to, Why: planner.Balance}
		switch {
		case from == to:
			continue
		case from == "":
			m.Why = planner.First
		case sp.before[s] < 0:
			m.Why = planner.Orphan
		case sp.fixed[s]:
			m.Why = planner.Pin
		case in.Members[sp.before[s]].Draining:
			m.Why = planner.Drain
		}
		p.Moves = append(p.Moves, m)
	}
	return p
}

// TestPlantedDefects shows that the checks find what is wrong.
func TestPlantedDefects(t *testing.T) {
	// Nine shards and members a to c, who have three each.
	table := planner.Table{Members: []string{"a", "b", "c"}, Owner: []int32{0, 0, 0, 1, 1, 1, 2, 2, 2}}
	three := []planner.Member{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	still := planner.Input{Shards: 9, Prev: table, Members: three}
	joins := planner.Input{Shards: 9, Prev: table, Members: append(slices.Clone(three), planner.Member{ID: "d"})}
	pinned := planner.Input{Shards: 9, Prev: table, Members: three, Pins: map[int]string{0: "b"}}
	full := planner.Input{Shards: 9, Prev: table, Members: []planner.Member{{ID: "a", Capacity: 2}, {ID: "b"}, {ID: "c"}}}
	drains := planner.Input{Shards: 9, Prev: table, Members: []planner.Member{{ID: "a", Draining: true}, {ID: "b"}, {ID: "c"}}}
	zones := planner.Input{Shards: 10, Prev: planner.Table{Members: table.Members, Owner: append(slices.Clone(table.Owner), 2)},
		Members: []planner.Member{{ID: "a", Zone: "x"}, {ID: "b", Zone: "x"}, {ID: "c", Zone: "y"}, {ID: "d", Zone: "y"}}}
	slow := joins
	slow.MaxMoves = 1
	rolls := planner.Input{Shards: 9, Prev: table, Members: []planner.Member{{ID: "a", Version: "2"}, {ID: "b"}, {ID: "c"}}, Prefer: "2"}
	hot := still
	hot.Load = make([]uint32, 9)

	swap := func(a, b int) func([]int32) { return func(o []int32) { o[a], o[b] = o[b], o[a] } }
	// give makes the first shard of from one of to.
	give := func(from, to int32) func([]int32) { return func(o []int32) { o[slices.Index(o, from)] = to } }
	for _, c := range []struct {
		name   string
		in     planner.Input
		change func([]int32)
		find   string
	}{
		{"swap", still, swap(0, 3), "moves, 0 of them for load, minimum 0"},
		{"one above its share", still, give(0, 1), "is due {3 3}"},
		{"a move too many", joins, func(o []int32) { give(0, 1)(o); give(1, 0)(o[3:]) }, "minimum 2"},
		{"nobody", still, func(o []int32) { o[0] = planner.Nobody }, "8 shards have an owner, there is room for 9"},
		{"pin", pinned, swap(0, 4), "shard 0 is pinned to b"},
		{"capacity", full, give(1, 0), "a has 3, is due {2 2}"},
		{"draining", drains, give(1, 0), "a has 1, is due {0 0}"},
		{"zone", zones, func(o []int32) {
			// Each of a zone's two members is due 2 or 3, both together 5.
			has := make([]int, 4)
			for _, m := range o {
				has[m]++
			}
			give(int32(2+slices.Index(has[2:], 3)), int32(slices.Index(has[:2], 2)))(o)
		}, `together have`},
		{"deferred", slow, give(0, 3), "minimum 2, deferred 1"},
		{"roll-out", rolls, swap(1, 4), "minimum 0"},
		{"roll-out back", rolls, give(0, 1), "a has 2, is due"},
		{"load", hot, swap(0, 3), "of them for load"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := planner.Make(c.in)
			require.NoError(t, err)
			require.NoError(t, verify(c.in, p))
			require.NoError(t, verify(c.in, forged(c.in, p, func([]int32) {})), "forging itself is not found")
			require.ErrorContains(t, verify(c.in, forged(c.in, p, c.change)), c.find)
		})
	}
}

// TestPlantedLies shows that what a plan says of a right table is looked at.
func TestPlantedLies(t *testing.T) {
	in := planner.Input{Shards: 9, Members: []planner.Member{{ID: "a"}, {ID: "b"}}}
	good, err := planner.Make(in)
	require.NoError(t, err)
	for name, lie := range map[string]func(*planner.Plan){
		"a move less":   func(p *planner.Plan) { p.Moves = p.Moves[1:] },
		"a move twice":  func(p *planner.Plan) { p.Moves = append(slices.Clone(p.Moves), p.Moves[0]) },
		"reason":        func(p *planner.Plan) { p.Moves = slices.Clone(p.Moves); p.Moves[0].Why = planner.Orphan },
		"minimum":       func(p *planner.Plan) { p.Minimum-- },
		"deferred":      func(p *planner.Plan) { p.Deferred++; p.Minimum++ },
		"unowned":       func(p *planner.Plan) { p.Unowned = []int{3} },
		"standing":      func(p *planner.Plan) { p.Members = slices.Clone(p.Members); p.Members[0].Most++ },
		"unknown owner": func(p *planner.Plan) { p.Table.Members = []string{"a", "x"} },
	} {
		p := good
		lie(&p)
		require.Error(t, verify(in, p), name)
	}
}

// TestPlantedUnrest shows that rest and sameness are looked at.
func TestPlantedUnrest(t *testing.T) {
	in := planner.Input{Shards: 9, Members: []planner.Member{{ID: "a"}, {ID: "b"}, {ID: "c"}}}
	p, err := planner.Make(in)
	require.NoError(t, err)
	require.NoError(t, rests(in, p))
	p.Table.Owner[0] = (p.Table.Owner[0] + 1) % 3
	require.ErrorContains(t, rests(in, p), "plan 1 after it moves")
	require.ErrorContains(t, same(in, p, dice42()), "in another order")
}

// TestPlantedOracle shows that the oracle tells one move from two.
func TestPlantedOracle(t *testing.T) {
	in := planner.Input{Shards: 4, Members: []planner.Member{{ID: "a"}, {ID: "b"}},
		Prev: planner.Table{Members: []string{"a", "b"}, Owner: []int32{0, 0, 0, 1}}}
	o := oracle{in: in, sp: specify(in)}
	require.False(t, o.within(0))
	require.True(t, o.within(1))
}
