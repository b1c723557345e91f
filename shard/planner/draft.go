// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner

import (
	"cmp"
	"slices"

	"github.com/quorate/quorate/internal/rendezvous"
)

// A draft is a plan in the making. Members are numbered in order of their IDs.
type draft struct {
	in      *Input
	members []Member
	weights []uint64
	hashes  []uint64
	zones   [][]int // members by zone, zones in order of their names
	zone    []int   // of each member

	before []int32 // owners of Input.Prev, Nobody if not there any more
	owner  []int32 // owners as planned so far

	fixed  []bool // shards that are pinned; nil if none is
	pinned []int  // how many, by member
	away   []int  // how many of a member's shards are pinned elsewhere

	// Pinned shards are left out of these three.
	had    []int    // shards that each member has
	due    []bounds // how many it may have
	target []int    // how many it is to have

	hot      map[int]bool // shards moved for the sake of load
	minimum  int
	deferred int
}

func newDraft(in *Input) *draft {
	n := len(in.Members)
	d := &draft{
		in:      in,
		members: slices.Clone(in.Members),
		weights: make([]uint64, n), hashes: make([]uint64, n), zone: make([]int, n),
		before: make([]int32, in.Shards),
		pinned: make([]int, n), away: make([]int, n), had: make([]int, n),
	}
	slices.SortFunc(d.members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	number := make(map[string]int32, n)
	names := make([]string, 0, 1)
	for i, m := range d.members {
		number[m.ID] = int32(i)
		d.weights[i], d.hashes[i] = m.weight(), rendezvous.Member(m.ID)
		names = append(names, m.Zone)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	d.zones = make([][]int, len(names))
	for i, m := range d.members {
		z, _ := slices.BinarySearch(names, m.Zone)
		d.zone[i] = z
		d.zones[z] = append(d.zones[z], i)
	}
	now := make([]int32, len(in.Prev.Members))
	for i, id := range in.Prev.Members {
		now[i] = Nobody
		if j, there := number[id]; there {
			now[i] = j
		}
	}
	if len(in.Prev.Owner) == 0 {
		for s := range d.before {
			d.before[s] = Nobody
		}
	}
	for s, o := range in.Prev.Owner {
		if o != Nobody {
			o = now[o]
		}
		d.before[s] = o
	}
	d.owner = slices.Clone(d.before)
	return d
}

// pin gives pinned shards to whom they are pinned to, as far as he can have them.
func (d *draft) pin() {
	if len(d.in.Pins) == 0 {
		return
	}
	shards := make([]int, 0, len(d.in.Pins))
	for s := range d.in.Pins {
		shards = append(shards, s)
	}
	slices.Sort(shards)
	for _, s := range shards {
		i, there := slices.BinarySearchFunc(d.members, d.in.Pins[s], func(m Member, id string) int { return cmp.Compare(m.ID, id) })
		if !there || d.members[i].Draining || d.members[i].Capacity > 0 && d.pinned[i] >= d.members[i].Capacity {
			continue
		}
		if d.fixed == nil {
			d.fixed = make([]bool, d.in.Shards)
		}
		d.fixed[s] = true
		d.pinned[i]++
		if from := d.before[s]; from != int32(i) {
			d.minimum++
			if from != Nobody {
				d.away[from]++
			}
		} else {
			d.away[i]++
		}
		d.owner[s] = int32(i)
	}
}

// measure counts what everybody has.
func (d *draft) measure() {
	for s, o := range d.owner {
		if o != Nobody && (d.fixed == nil || !d.fixed[s]) {
			d.had[o]++
		}
	}
}

// order decides among members that are equals otherwise.
func (d *draft) order() []uint64 {
	order := make([]uint64, len(d.hashes))
	for i, h := range d.hashes {
		order[i] = rendezvous.Mix(d.in.Seed, h)
	}
	return order
}
