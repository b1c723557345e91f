// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner

import (
	"cmp"
	"math/bits"
	"slices"
)

// loaded says whether loads count.
func (d *draft) loaded() bool { return len(d.in.Load) > 0 }

// heat is the load of one member, and what it is measured by.
type heat struct{ load, weight uint64 }

// compare compares loads by weight. A member without a weight is the hottest.
func (h heat) compare(o heat) int {
	ahi, alo := bits.Mul64(h.load, o.weight)
	bhi, blo := bits.Mul64(o.load, h.weight)
	return cmp.Or(cmp.Compare(ahi, bhi), cmp.Compare(alo, blo))
}

// heats returns everybody's load as planned so far.
func (d *draft) heats() []heat {
	hs := make([]heat, len(d.members))
	for i := range hs {
		hs[i].weight = d.weights[i]
	}
	for s, o := range d.owner {
		if o != Nobody {
			hs[o].load += uint64(d.in.Load[s])
		}
	}
	return hs
}

// placeByLoad gives shards that have to go somewhere anyway to the coldest of those
// with room, the hottest shards first.
func (d *draft) placeByLoad(pool, room []int) {
	slices.SortFunc(pool, func(a, b int) int {
		return cmp.Or(cmp.Compare(d.in.Load[b], d.in.Load[a]), cmp.Compare(a, b))
	})
	hs := d.heats()
	all := make([]int, len(d.members))
	for i := range all {
		all[i] = i
	}
	open := withRoom(all, room)
	for _, s := range pool {
		l := uint64(d.in.Load[s])
		best := 0
		for n := 1; n < len(open); n++ {
			a, b := hs[open[n]], hs[open[best]]
			a.load += l
			b.load += l
			if a.compare(b) < 0 {
				best = n
			}
		}
		hs[open[best]].load += l
		open = d.assign(s, best, open, room)
	}
}

// cool moves shards from the hottest member to the coldest, one at a time, as
// long as that leaves the hotter of the two less hot, within Input.LoadMoves.
func (d *draft) cool() {
	// In a roll-out, members of other versions may get nothing; and shards that
	// still wait to move for balance would be moved for their load instead.
	if !d.loaded() || d.rolling() || d.deferred > 0 {
		return
	}
	budget := or(d.in.LoadMoves, max(1, d.in.Shards/100))
	hs := d.heats()
	var all heat
	count := make([]int, len(d.members))
	for i, h := range hs {
		if h.weight > 0 {
			all.load += h.load
			all.weight += h.weight
		}
		count[i] = -d.pinned[i]
	}
	shards := make([][]int, len(d.members)) // of whoever was the hottest once
	for _, o := range d.owner {
		if o != Nobody {
			count[o]++
		}
	}
	d.hot = make(map[int]bool)
	stuck := make([]bool, len(d.members))
	bound := or(d.in.LoadStart, DefaultLoadStart)
	for budget > 0 {
		from, to := d.extremes(hs, count, stuck)
		if from < 0 || to < 0 || !hotter(hs[from], all, bound) {
			return
		}
		if shards[from] == nil {
			shards[from] = d.movable(from)
		}
		n := d.cooling(hs, from, to, shards[from])
		if n < 0 {
			stuck[from] = true
			continue
		}
		s := shards[from][n]
		shards[from] = slices.Delete(shards[from], n, n+1)
		l := uint64(d.in.Load[s])
		hs[from].load -= l
		hs[to].load += l
		count[from]--
		count[to]++
		if d.owner[s] == d.before[s] {
			d.hot[s] = true
			budget--
		}
		d.owner[s] = int32(to)
		shards[to] = nil
		bound = min(bound, or(d.in.LoadStop, DefaultLoadStop))
	}
}

// extremes returns the hottest member that may give a shard and the coldest
// that may get one; -1 if there is none.
func (d *draft) extremes(hs []heat, count []int, stuck []bool) (hottest, coldest int) {
	hottest, coldest = -1, -1
	for i, h := range hs {
		if h.weight == 0 {
			continue
		}
		if !stuck[i] && count[i] > d.due[i].lo && (hottest < 0 || h.compare(hs[hottest]) > 0) {
			hottest = i
		}
		if count[i] < d.due[i].hi && (coldest < 0 || h.compare(hs[coldest]) < 0) {
			coldest = i
		}
	}
	return hottest, coldest
}

// hotter says whether h exceeds the average by more than that many percent.
func hotter(h, average heat, percent int) bool {
	// Loads are below 1<<52 in all, so this is, too.
	return heat{h.load * 100, h.weight}.compare(heat{average.load * uint64(100+percent), average.weight}) > 0
}

// movable lists the shards of a member that carry load and are not pinned, the
// hottest first.
func (d *draft) movable(member int) []int {
	list := []int{}
	for s, o := range d.owner {
		if int(o) == member && d.in.Load[s] > 0 && (d.fixed == nil || !d.fixed[s]) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b int) int {
		return cmp.Or(cmp.Compare(d.in.Load[b], d.in.Load[a]), cmp.Compare(a, b))
	})
	return list
}

// cooling returns which of shards, the hottest first, is best moved from one
// to the other: that which leaves the hotter of the two coldest; -1 if none
// makes it better. No shard goes back to whom it comes from in this plan.
func (d *draft) cooling(hs []heat, giver, getter int, shards []int) int {
	from, to := hs[giver], hs[getter]
	best, at := -1, from
	for n, s := range shards {
		if int(d.before[s]) == getter {
			continue
		}
		l := uint64(d.in.Load[s])
		a, b := heat{from.load - l, from.weight}, heat{to.load + l, to.weight}
		if b.compare(a) > 0 {
			a = b
		} else if best >= 0 && a.compare(at) >= 0 {
			break // smaller ones change less
		}
		if a.compare(at) < 0 {
			best, at = n, a
		}
	}
	return best
}
