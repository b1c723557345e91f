// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner

// dues are how many shards members may have, by member and by group of members.
type dues struct {
	members []bounds
	groups  [][]int
	sums    []bounds // of each group
}

// decide sets how many shards each member may have, and how many it is to have.
func (d *draft) decide() {
	limits, room := d.limits()
	shares := fill(d.in.Shards, d.weights, limits)
	var due dues
	switch {
	case room < d.in.Shards:
		due = d.crowded(limits)
	case d.rolling():
		due = d.rollOut(shares, limits)
	default:
		due = d.even(shares, limits)
	}
	total, place := d.in.Shards, 0
	for g, of := range due.groups {
		for _, i := range of {
			pins := d.pinned[i] // are where they are, and left out from here on
			for _, b := range []*bounds{&due.members[i], &due.sums[g]} {
				b.lo -= pins
				b.hi -= pins
			}
			total -= pins
			place += due.members[i].hi
		}
	}
	d.due = due.members
	d.target = targets(min(total, place), d.had, d.weights, due, d.order())
}

// limits returns how many shards each member can have at all, and all together.
func (d *draft) limits() (limits []bounds, room int) {
	limits = make([]bounds, len(d.members))
	for i, m := range d.members {
		limits[i] = bounds{d.pinned[i], d.in.Shards}
		if m.Capacity > 0 {
			limits[i].hi = min(m.Capacity, d.in.Shards)
		}
		if m.Draining {
			limits[i].hi = 0
		}
		room += limits[i].hi
	}
	return limits, room
}

// even gives everybody its share, and each zone; give or take what the loads may
// change. Then a zone has what its members' bounds make of it.
func (d *draft) even(shares []share, limits []bounds) dues {
	slack := 0
	if d.loaded() {
		slack = or(d.in.LoadSlack, DefaultLoadSlack)
	}
	due := dues{make([]bounds, len(shares)), d.zones, make([]bounds, len(d.zones))}
	for i, s := range shares {
		due.members[i] = s.around(slack, limits[i])
	}
	for z, of := range d.zones {
		due.sums[z] = bounds{0, d.in.Shards}
		if slack == 0 {
			due.sums[z] = sum(shares, of).around(0, due.sums[z])
		}
	}
	return due
}

// crowded is for when there is no room for all: everybody is full, and who is
// draining keeps of what it has what is left.
func (d *draft) crowded(limits []bounds) dues {
	due := dues{limits, d.zones, make([]bounds, len(d.zones))}
	for i, m := range d.members {
		due.members[i].lo = limits[i].hi
		if m.Draining {
			due.members[i] = bounds{0, d.had[i]}
		}
	}
	for z := range due.sums {
		due.sums[z] = bounds{0, d.in.Shards}
	}
	return due
}

// preferred says whether a member is of the version that is to take over.
func (d *draft) preferred(i int) bool { return d.members[i].Version == d.in.Prefer }

// rolling says whether both preferred members and others are there to get shards.
func (d *draft) rolling() bool {
	if d.in.Prefer == "" {
		return false
	}
	var news, olds bool
	for i, m := range d.members {
		if !m.Draining {
			news = news || d.preferred(i)
			olds = olds || !d.preferred(i)
		}
	}
	return news && olds
}

// rollOut lets the others have no more than they have, nor than their share, each
// and together, and the preferred members no less than they have: so shards move
// from the others to them alone. Versions take the place of the zones. None of
// these bounds depends on more than the shares and on what everybody has, and the
// plan keeps to them; so the next plan finds that nothing has to move.
func (d *draft) rollOut(even []share, limits []bounds) dues {
	due := dues{make([]bounds, len(even)), make([][]int, 2), make([]bounds, 2)}
	var most [2]int
	for i, s := range even {
		has, version := d.had[i]+d.pinned[i], 0
		if d.preferred(i) {
			version = 1
			b := s.around(or(d.in.Overfill, DefaultOverfill), limits[i])
			due.members[i] = bounds{min(max(has, limits[i].lo), b.hi), b.hi}
		} else {
			b := s.around(0, limits[i])
			due.members[i] = bounds{limits[i].lo, min(max(has, limits[i].lo), b.hi)}
		}
		due.groups[version] = append(due.groups[version], i)
		most[version] += due.members[i].hi
	}
	others := sum(even, due.groups[0]).ceil()
	due.sums = []bounds{{0, others}, {0, d.in.Shards}}
	if min(most[0], others)+most[1] < d.in.Shards {
		// The preferred members cannot take all that the others may not keep: they
		// are full, and the others have the rest.
		due.sums[0].hi = d.in.Shards
		for i := range due.members {
			if d.preferred(i) {
				due.members[i].lo = due.members[i].hi
			} else {
				due.members[i].hi = limits[i].hi
			}
		}
	}
	return due
}
