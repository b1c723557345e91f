// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Explain says in a sentence where shard goes and why, for people.
func (p *Plan) Explain(shard int) string {
	if shard < 0 || shard >= p.in.Shards {
		return fmt.Sprintf("shard %d: there is none, they are numbered from 0 to %d", shard, p.in.Shards-1)
	}
	from, to := p.in.Prev.OwnerOf(shard), p.Table.OwnerOf(shard)
	var b strings.Builder
	fmt.Fprintf(&b, "shard %d: ", shard)
	pin, pinned := p.in.Pins[shard]
	if pinned && pin != to {
		fmt.Fprintf(&b, "is pinned to %s, who %s; ", pin, p.unable(pin))
	}
	n, moves := slices.BinarySearchFunc(p.Moves, shard, func(m Move, s int) int { return cmp.Compare(m.Shard, s) })
	switch {
	case !moves && to == "":
		b.WriteString("nobody has the capacity for it")
	case !moves && pinned && pin == to:
		fmt.Fprintf(&b, "stays with %s, to whom it is pinned", to)
	case !moves:
		fmt.Fprintf(&b, "stays with %s, %s", to, p.standing(to))
	case to == "":
		fmt.Fprintf(&b, "leaves %s, %s; nobody has the capacity for it", from, p.standing(from))
	default:
		why := p.Moves[n].Why
		switch why {
		case First:
			fmt.Fprintf(&b, "had no owner, goes to %s, %s", to, p.standing(to))
		case Orphan:
			fmt.Fprintf(&b, "goes to %s, %s: its owner %s is not there any more", to, p.standing(to), from)
		case Pin:
			fmt.Fprintf(&b, "goes from %s to %s: it is pinned there", from, to)
		case Drain:
			fmt.Fprintf(&b, "goes to %s, %s: its owner %s is draining", to, p.standing(to), from)
		case Hot:
			fmt.Fprintf(&b, "goes from %s, %s, to %s, %s: for the sake of load", from, p.standing(from), to, p.standing(to))
		default:
			fmt.Fprintf(&b, "goes from %s, %s, to %s, %s", from, p.standing(from), to, p.standing(to))
		}
		if pinned && pin == to && why != Pin {
			b.WriteString("; it is pinned there")
		}
	}
	return b.String()
}

func (p *Plan) find(id string) (Standing, bool) {
	n, there := slices.BinarySearchFunc(p.Members, id, func(s Standing, id string) int { return cmp.Compare(s.ID, id) })
	if !there {
		return Standing{}, false
	}
	return p.Members[n], true
}

func (p *Plan) standing(id string) string {
	s, _ := p.find(id)
	due := fmt.Sprint(s.Fewest)
	if s.Most != s.Fewest {
		due = fmt.Sprintf("%d to %d", s.Fewest, s.Most)
	}
	load := ""
	if len(p.in.Load) > 0 {
		load = fmt.Sprintf(" and a load of %d", s.Load)
	}
	return fmt.Sprintf("who had %d, has %d%s and is due %s", s.Had, s.Has, load, due)
}

// unable says why a member does not have a shard that is pinned to it.
func (p *Plan) unable(id string) string {
	s, there := p.find(id)
	switch {
	case !there:
		return "is not there"
	case s.Draining:
		return "is draining"
	}
	return fmt.Sprintf("has his capacity of %d pinned already", s.Capacity)
}

// String is the plan as a table of members, for people.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d shards, %d members, %d moves (fewest possible %d)", p.in.Shards, len(p.Members), len(p.Moves), p.Minimum)
	if p.Deferred > 0 {
		fmt.Fprintf(&b, ", %d left for later", p.Deferred)
	}
	if n := len(p.Unowned); n > 0 {
		fmt.Fprintf(&b, ", %d without an owner", n)
	}
	b.WriteByte('\n')
	for _, s := range p.Members {
		fmt.Fprintf(&b, "%s\thad %d\thas %d\tdue %d to %d", s.ID, s.Had, s.Has, s.Fewest, s.Most)
		if len(p.in.Load) > 0 {
			fmt.Fprintf(&b, "\tload %d", s.Load)
		}
		if s.Draining {
			b.WriteString("\tdraining")
		}
		b.WriteByte('\n')
	}
	return b.String()
}
