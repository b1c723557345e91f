// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/quorate/quorate/internal/rendezvous"
)

// give takes from each member what it has above its target: the shards that
// are farthest from it, so that those stay which would come back to it.
func (d *draft) give() {
	excess := make([]int, len(d.members))
	total, drained := 0, 0
	for i, m := range d.members {
		excess[i] = max(0, d.had[i]-d.target[i])
		total += excess[i]
		if m.Draining {
			drained += excess[i]
		}
	}
	d.minimum += total
	if most := max(d.in.MaxMoves, 0); d.in.MaxMoves != 0 && total-drained > most {
		d.deferred = total - drained - most
		d.throttle(excess, most)
	}
	far := make([]farthest, len(d.members))
	for s, o := range d.owner {
		if o == Nobody || excess[o] == 0 || d.fixed != nil && d.fixed[s] {
			continue
		}
		f := &far[o]
		c := candidate{rendezvous.Distance(rendezvous.Pair(d.hash(s), d.hashes[o])), s}
		if len(*f) < excess[o] {
			heap.Push(f, c)
		} else if (*f)[0].nearer(c) {
			(*f)[0] = c
			heap.Fix(f, 0)
		}
	}
	for _, f := range far {
		for _, c := range f {
			d.owner[c.shard] = Nobody
		}
	}
}

// throttle lowers what members give for balance to most in all: those who are
// fullest begin.
func (d *draft) throttle(excess []int, most int) {
	bs := make([]bounds, len(d.members))
	keep := -most
	for i, had := range d.had {
		bs[i] = bounds{min(had, d.target[i]), had}
		if d.members[i].Draining {
			bs[i] = bounds{had, had} // gives as it is
		}
		keep += had
	}
	kept := quotas(keep, d.had, d.weights, bs, d.order())
	for i, m := range d.members {
		if !m.Draining {
			excess[i] = d.had[i] - kept[i]
		}
	}
}

func (d *draft) hash(shard int) uint64 { return rendezvous.Mix(d.in.Seed, uint64(shard)) }

// candidate is a shard that its owner may give.
type candidate struct {
	distance uint64
	shard    int
}

func (c candidate) nearer(than candidate) bool {
	return cmp.Or(cmp.Compare(c.distance, than.distance), cmp.Compare(than.shard, c.shard)) < 0
}

// farthest is a heap of a member's farthest shards, the nearest of them on top.
type farthest []candidate

func (f farthest) Len() int           { return len(f) }
func (f farthest) Less(a, b int) bool { return f[a].nearer(f[b]) }
func (f farthest) Swap(a, b int)      { f[a], f[b] = f[b], f[a] }
func (f *farthest) Push(x any)        { *f = append(*f, x.(candidate)) }
func (f *farthest) Pop() any          { panic("never shrinks") }

// place gives shards without an owner to members that are short of their target:
// each to the nearest, of its old owner's zone if there is room.
func (d *draft) place() {
	room := slices.Clone(d.target)
	var pool, orphans []int
	for s, o := range d.owner {
		switch {
		case o == Nobody && d.before[s] == Nobody:
			orphans = append(orphans, s)
		case o == Nobody:
			pool = append(pool, s)
		case d.fixed == nil || !d.fixed[s]:
			room[o]--
		}
	}
	// If there is no place for all, those without an owner stay so: else
	// somebody's shard would be dropped for them, which is a move more.
	pool = append(pool, orphans...)
	places := 0
	for _, n := range room {
		places += max(0, n)
	}
	pool = pool[:min(len(pool), places)]
	if d.loaded() {
		d.placeByLoad(pool, room)
		return
	}
	if len(d.zones) > 1 {
		open := make([][]int, len(d.zones))
		for z, of := range d.zones {
			open[z] = withRoom(of, room)
		}
		rest := pool[:0]
		for _, s := range pool {
			from := d.before[s]
			if from == Nobody || len(open[d.zone[from]]) == 0 {
				rest = append(rest, s)
				continue
			}
			z := d.zone[from]
			open[z] = d.settle(s, open[z], room)
		}
		pool = rest
	}
	all := make([]int, len(d.members))
	for i := range all {
		all[i] = i
	}
	open := withRoom(all, room)
	for _, s := range pool {
		open = d.settle(s, open, room)
	}
}

func withRoom(of, room []int) []int {
	open := make([]int, 0, len(of))
	for _, i := range of {
		if room[i] > 0 {
			open = append(open, i)
		}
	}
	return open
}

// settle gives shard s to the nearest of open, and returns those who still
// have room.
func (d *draft) settle(s int, open, room []int) []int {
	h := d.hash(s)
	best, nearest, weight := 0, uint64(rendezvous.Far), uint64(1)
	for n, i := range open {
		pair, w := rendezvous.Pair(h, d.hashes[i]), max(d.weights[i], 1)
		// Most are too far away to be worth a logarithm.
		if !rendezvous.Nearer(rendezvous.AtLeast(pair), w, nearest, weight) {
			continue
		}
		if dist := rendezvous.Distance(pair); rendezvous.Nearer(dist, w, nearest, weight) {
			best, nearest, weight = n, dist, w
		}
	}
	return d.assign(s, best, open, room)
}

// assign gives shard s to open[n].
func (d *draft) assign(s, n int, open, room []int) []int {
	i := open[n]
	d.owner[s] = int32(i)
	if d.before[s] == Nobody {
		d.minimum++
	}
	if room[i]--; room[i] == 0 {
		open = slices.Delete(open, n, n+1)
	}
	return open
}
