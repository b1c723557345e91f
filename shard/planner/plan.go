// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner

// A Plan is the table that an Input asks for, and how it comes about.
type Plan struct {
	Table Table
	// Moves are in order of shards. A shard whose owner is gone and that nobody has
	// the capacity for is in Unowned, not here.
	Moves []Move

	// Minimum is the fewest moves by which the members' shares can be had:
	// orphans, shards that are not where they are pinned, and what members
	// have above their share. Moves has as many, less Deferred, and those for
	// the sake of load, which are Hot, besides.
	Minimum  int
	Deferred int   // moves left for a later plan by Input.MaxMoves
	Unowned  []int // shards that nobody has the capacity for

	Members []Standing // in order of their IDs

	in Input
}

// Standing is what a plan means for one member.
type Standing struct {
	Member
	Had    int    // shards of Input.Prev
	Has    int    // shards of Plan.Table
	Fewest int    // its share, rounded down, and
	Most   int    // rounded up; or what Load, Pins, Prefer and the like make of it
	Pinned int    // those of Has that are pinned
	Load   uint64 // of Has, if Input.Load is given
}

// Move is one shard that changes its owner.
type Move struct {
	Shard    int
	From, To string // empty if nobody
	Why      Reason
}

// Reason says why a shard moves.
type Reason uint8

// The reasons, in order of precedence.
const (
	First   Reason = iota + 1 // it had no owner
	Orphan                    // its owner is not there any more
	Pin                       // it is pinned
	Drain                     // its owner is draining
	Balance                   // its owner has more than its share
	Hot                       // its owner is hotter than others
)

func (r Reason) String() string {
	switch r {
	case First:
		return "first"
	case Orphan:
		return "orphan"
	case Pin:
		return "pin"
	case Drain:
		return "drain"
	case Balance:
		return "balance"
	case Hot:
		return "load"
	}
	return "none"
}

// Make makes the plan for in, which it does not change. Its error wraps ErrInvalid
// and names the field. It takes time in proportion to the shards, and to the
// product of those that have to move and the members with room for them.
func Make(in Input) (Plan, error) {
	if err := in.check(); err != nil {
		return Plan{}, err
	}
	d := newDraft(&in)
	d.pin()
	d.measure()
	d.decide()
	d.give()
	d.place()
	d.cool()
	return d.plan(), nil
}

// plan makes a Plan of the finished draft.
func (d *draft) plan() Plan {
	in := d.in
	p := Plan{in: *in, Minimum: d.minimum, Deferred: d.deferred}
	p.Table = Table{Members: make([]string, len(d.members)), Owner: d.owner}
	p.Members = make([]Standing, len(d.members))
	for i, m := range d.members {
		p.Table.Members[i] = m.ID
		p.Members[i] = Standing{Member: m, Had: d.had[i] + d.away[i], Fewest: d.due[i].lo + d.pinned[i], Most: d.due[i].hi + d.pinned[i], Pinned: d.pinned[i]}
	}
	if n := d.minimum - d.deferred + len(d.hot); n > 0 {
		p.Moves = make([]Move, 0, n)
	}
	for s, to := range d.owner {
		if to == Nobody {
			p.Unowned = append(p.Unowned, s)
		} else {
			p.Members[to].Has++
			if len(in.Load) > 0 {
				p.Members[to].Load += uint64(in.Load[s])
			}
		}
		from := d.before[s]
		if from == to && from != Nobody {
			continue
		}
		m := Move{Shard: s, From: in.Prev.OwnerOf(s), To: p.Table.OwnerOf(s), Why: Balance}
		switch {
		case to == Nobody && from == Nobody:
			continue
		case m.From == "":
			m.Why = First
		case from == Nobody:
			m.Why = Orphan
		case d.fixed != nil && d.fixed[s]:
			m.Why = Pin
		case d.members[from].Draining:
			m.Why = Drain
		case d.hot[s]:
			m.Why = Hot
		}
		p.Moves = append(p.Moves, m)
	}
	return p
}
