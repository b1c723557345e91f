// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"fmt"
	"slices"

	"github.com/quorate/quorate/shard/planner"
)

// verify says what of a plan is not as documented, nil if nothing.
func verify(in planner.Input, p planner.Plan) error {
	sp := specify(in)
	for _, check := range []func(planner.Input, spec, planner.Plan) error{
		checkTable, checkMoves, checkPins, checkBounds, checkFewest, checkNeedless, checkRollOut,
	} {
		if err := check(in, sp, p); err != nil {
			return err
		}
	}
	return nil
}

// checkTable looks at the form, and at what the plan says of its members.
func checkTable(in planner.Input, sp spec, p planner.Plan) error {
	if len(p.Table.Owner) != in.Shards || len(p.Members) != len(in.Members) || !slices.IsSorted(p.Table.Members) {
		return fmt.Errorf("table: %d shards, members %v", len(p.Table.Owner), p.Table.Members)
	}
	has, had, load, unowned := map[string]int{}, map[string]int{}, map[string]uint64{}, []int(nil)
	for s := range in.Shards {
		had[in.Prev.OwnerOf(s)]++
		o := p.Table.OwnerOf(s)
		if o == "" {
			unowned = append(unowned, s)
		} else if _, there := sp.number[o]; !there {
			return fmt.Errorf("shard %d: owner %q is not there", s, o)
		}
		has[o]++
		if len(in.Load) > 0 {
			load[o] += uint64(in.Load[s])
		}
	}
	if !slices.Equal(unowned, p.Unowned) {
		return fmt.Errorf("without an owner are %v, the plan says %v", unowned, p.Unowned)
	}
	if in.Shards-len(unowned) < sp.owned {
		return fmt.Errorf("%d shards have an owner, there is room for %d", in.Shards-len(unowned), sp.owned)
	}
	for n, st := range p.Members {
		i, there := sp.number[st.ID]
		if !there || p.Table.Members[n] != st.ID {
			return fmt.Errorf("standing %d is of %q", n, st.ID)
		}
		want := planner.Standing{Member: in.Members[i], Had: had[st.ID], Has: has[st.ID], Fewest: sp.member[i].lo, Most: sp.member[i].hi, Pinned: sp.pinned[i], Load: load[st.ID]}
		if st != want {
			return fmt.Errorf("standing is %+v, want %+v", st, want)
		}
	}
	return nil
}

// checkMoves compares the moves with the tables.
func checkMoves(in planner.Input, sp spec, p planner.Plan) error {
	var want []planner.Move
	for s := range in.Shards {
		from, to := in.Prev.OwnerOf(s), p.Table.OwnerOf(s)
		if from == to || to == "" && sp.before[s] < 0 {
			continue
		}
		m := planner.Move{Shard: s, From: from, To: to, Why: planner.Balance}
		switch {
		case from == "":
			m.Why = planner.First
		case sp.before[s] < 0:
			m.Why = planner.Orphan
		case sp.fixed[s]:
			m.Why = planner.Pin
		case in.Members[sp.before[s]].Draining:
			m.Why = planner.Drain
		default:
			if n := len(want); n < len(p.Moves) && p.Moves[n].Why == planner.Hot && len(in.Load) > 0 && !sp.rolling {
				m.Why = planner.Hot // checkFewest counts them
			}
		}
		want = append(want, m)
	}
	if !slices.Equal(want, p.Moves) {
		return fmt.Errorf("moves are\n%v, want\n%v", p.Moves, want)
	}
	return nil
}

func checkPins(in planner.Input, sp spec, p planner.Plan) error {
	for s := range sp.fixed {
		if p.Table.OwnerOf(s) != in.Pins[s] {
			return fmt.Errorf("shard %d is pinned to %s, is with %q", s, in.Pins[s], p.Table.OwnerOf(s))
		}
	}
	return nil
}

// checkBounds looks whether everybody, and every zone, has what it is due.
func checkBounds(in planner.Input, sp spec, p planner.Plan) error {
	sums := map[string]int{}
	for _, st := range p.Members {
		i := sp.number[st.ID]
		sums[sp.group[i]] += st.Has
		most := st.Has
		if p.Deferred > 0 { // it may still have too much, but not more than before
			most = max(sp.member[i].hi, sp.had[i]+sp.pinned[i])
		} else {
			most = sp.member[i].hi
			if st.Has < sp.member[i].lo {
				return fmt.Errorf("%s has %d, is due %v", st.ID, st.Has, sp.member[i])
			}
		}
		if st.Has > most {
			return fmt.Errorf("%s has %d, is due %v", st.ID, st.Has, sp.member[i])
		}
		if st.Capacity > 0 && p.Deferred == 0 && st.Has > st.Capacity && !st.Draining {
			return fmt.Errorf("%s has %d, its capacity is %d", st.ID, st.Has, st.Capacity)
		}
		if st.Draining && !sp.crowded && p.Deferred == 0 && st.Has > 0 {
			return fmt.Errorf("%s is draining and has %d", st.ID, st.Has)
		}
	}
	for g, due := range sp.sum {
		if p.Deferred == 0 && (sums[g] < due.lo || sums[g] > due.hi) {
			return fmt.Errorf("%q together have %d, are due %v", g, sums[g], due)
		}
	}
	return nil
}

// fewest returns how many moves the spec takes at least: each pin that is not
// obeyed, each shard above the most that a member, a group or all may have,
// and each place that no shard with an owner can fill.
func (sp *spec) fewest(in planner.Input) (moves, givable int) {
	keep, all, pinned := map[string]int{}, map[string]span{}, map[string]int{}
	total, had, kept := sp.owned-len(sp.fixed), 0, 0
	for s := range sp.fixed {
		if sp.before[s] < 0 || in.Members[sp.before[s]].ID != in.Pins[s] {
			moves++
		}
	}
	for i, g := range sp.group {
		due := span{sp.member[i].lo - sp.pinned[i], sp.member[i].hi - sp.pinned[i]}
		givable += max(0, sp.had[i]-due.hi)
		had += sp.had[i]
		keep[g] += clamp(sp.had[i], due)
		all[g] = span{all[g].lo + due.lo, all[g].hi + due.hi}
		pinned[g] += sp.pinned[i]
	}
	for g, k := range keep {
		sum := span{clamp(sp.sum[g].lo-pinned[g], all[g]), clamp(sp.sum[g].hi-pinned[g], all[g])}
		givable += max(0, k-sum.hi)
		kept += clamp(k, sum)
	}
	givable += max(0, kept-total)
	return moves + givable + max(0, total-had), givable
}

// checkFewest counts the moves.
func checkFewest(in planner.Input, sp spec, p planner.Plan) error {
	hot := 0
	for _, m := range p.Moves {
		if m.Why == planner.Hot {
			hot++
		}
	}
	most := in.LoadMoves
	if most == 0 {
		most = max(1, in.Shards/100)
	}
	if hot > max(0, most) {
		return fmt.Errorf("%d moves for the sake of load, limit %d", hot, most)
	}
	if len(p.Moves)-hot != p.Minimum-p.Deferred {
		return fmt.Errorf("%d moves, %d of them for load, minimum %d, deferred %d", len(p.Moves), hot, p.Minimum, p.Deferred)
	}
	want, givable := sp.fewest(in)
	deferred := 0
	if in.MaxMoves != 0 {
		for _, m := range p.Moves {
			if m.Why == planner.Drain {
				givable-- // is not held back
			}
		}
		deferred = max(0, givable-max(0, in.MaxMoves))
	}
	if p.Deferred != deferred {
		return fmt.Errorf("deferred are %d, want %d", p.Deferred, deferred)
	}
	if p.Minimum != want && !(sp.crowded && deferred > 0) {
		return fmt.Errorf("minimum is %d, want %d", p.Minimum, want)
	}
	return nil
}

// checkNeedless looks for members that both give and get, and zones that do.
func checkNeedless(in planner.Input, sp spec, p planner.Plan) error {
	if len(in.Load) > 0 {
		return nil
	}
	gives, gets := map[string]int{}, map[string]int{}
	leaves, enters := map[string]int{}, map[string]int{}
	for _, m := range p.Moves {
		if sp.fixed[m.Shard] {
			continue
		}
		zone, from := "-", sp.before[m.Shard]
		if from >= 0 {
			gives[m.From] = m.Shard
			zone = in.Members[from].Zone
		}
		if m.To == "" {
			continue
		}
		gets[m.To] = m.Shard
		if to := in.Members[sp.number[m.To]].Zone; to != zone {
			leaves[zone] = m.Shard
			enters[to] = m.Shard
		}
	}
	for id, s := range gives {
		if other, both := gets[id]; both {
			return fmt.Errorf("%s gives shard %d and gets %d", id, s, other)
		}
	}
	for z, s := range leaves {
		if other, both := enters[z]; both {
			return fmt.Errorf("shard %d leaves zone %q, shard %d enters it", s, z, other)
		}
	}
	return nil
}

// checkRollOut looks whether only preferred members get, and only others give.
func checkRollOut(in planner.Input, sp spec, p planner.Plan) error {
	if !sp.rolling {
		return nil
	}
	for _, m := range p.Moves {
		if sp.fixed[m.Shard] || m.To == "" {
			continue
		}
		to, from := sp.number[m.To], sp.before[m.Shard]
		if in.Members[to].Version != in.Prefer && sp.member[to].hi <= sp.had[to]+sp.pinned[to] {
			return fmt.Errorf("shard %d goes to %s of version %q", m.Shard, m.To, in.Members[to].Version)
		}
		if from >= 0 && in.Members[from].Version == in.Prefer && !in.Members[from].Draining && sp.had[from]+sp.pinned[from] <= sp.member[from].lo {
			return fmt.Errorf("shard %d leaves %s, which is preferred", m.Shard, m.From)
		}
	}
	return nil
}
