// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"cmp"
	"slices"

	"github.com/quorate/quorate/shard/planner"
)

// maxMembers is how many members a group may have: their numbers fit 16 bits.
const maxMembers = 1<<16 - 2

// A head is the plan's one small key, which everybody watches: what changed
// last, and where the rest stands.
type head struct {
	shards    int
	epoch     uint64 // of the plan; each has its number
	base      string // key of the newest base, relative to the group
	baseEpoch uint64
	last      *diff // from epoch-1 to epoch; nil if it is too long for a head
}

// A diff is the way from one epoch to the next. Members go by numbers, which
// are given again when their bearer is gone and owns nothing.
type diff struct {
	cause string
	gone  []int    // numbers of members that are not there any more
	names []naming // members that came, came back or changed what the table tells of them
	moves []move   // in order of shards
}

type naming struct {
	number   int
	draining bool
	Owner
}

// move says that the plan gives a shard to a member.
type move struct {
	shard int
	to    int // a number, or planner.Nobody
}

func (h *head) marshal() []byte {
	w := newWriter()
	w.num(uint64(h.shards))
	w.num(h.epoch)
	w.num(h.baseEpoch)
	w.text(h.base)
	if h.last == nil {
		w.num(0)
		return w.b
	}
	w.num(1)
	h.last.write(w)
	return w.b
}

func parseHead(b []byte) (*head, error) {
	r := newReader(b)
	h := &head{shards: r.below(planner.MaxShards + 1), epoch: r.num(), baseEpoch: r.num(), base: r.text()}
	if h.baseEpoch > h.epoch {
		r.fail("has a base of the future")
	}
	if r.below(2) == 1 {
		h.last = readDiff(r, h.shards)
	}
	return h, r.err
}

func (d *diff) marshal() []byte {
	w := newWriter()
	d.write(w)
	return w.b
}

func parseDiff(b []byte, shards int) (*diff, error) {
	r := newReader(b)
	d := readDiff(r, shards)
	return d, r.err
}

// write groups the moves by receiver, with the shards of each as distances.
func (d *diff) write(w *writer) {
	w.text(d.cause)
	w.num(uint64(len(d.gone)))
	for _, n := range d.gone {
		w.num(uint64(n))
	}
	w.num(uint64(len(d.names)))
	for _, n := range d.names {
		w.num(uint64(n.number))
		w.flag(n.draining)
		w.text(n.ID)
		w.text(n.Address)
	}
	moves := slices.Clone(d.moves)
	slices.SortStableFunc(moves, func(a, b move) int { return cmp.Compare(a.to, b.to) })
	groups := 0
	for i := range moves {
		if i == 0 || moves[i].to != moves[i-1].to {
			groups++
		}
	}
	w.num(uint64(groups))
	for len(moves) > 0 {
		n := 1
		for n < len(moves) && moves[n].to == moves[0].to {
			n++
		}
		w.num(uint64(moves[0].to + 1))
		w.num(uint64(n))
		next := 0
		for _, m := range moves[:n] {
			w.num(uint64(m.shard - next))
			next = m.shard + 1
		}
		moves = moves[n:]
	}
}

func readDiff(r *reader, shards int) *diff {
	d := &diff{cause: r.text()}
	for range r.count() {
		d.gone = append(d.gone, r.below(maxMembers))
	}
	for range r.count() {
		d.names = append(d.names, naming{number: r.below(maxMembers), draining: r.below(2) == 1, Owner: Owner{ID: r.text(), Address: r.text()}})
	}
	for range r.count() {
		to := r.below(maxMembers+1) - 1
		next := 0
		for range r.count() {
			s := next + r.below(max(shards-next, 1))
			d.moves = append(d.moves, move{s, to})
			next = s + 1
		}
	}
	slices.SortFunc(d.moves, func(a, b move) int { return cmp.Compare(a.shard, b.shard) })
	if r.err == nil && len(r.b) > 0 {
		r.fail("goes on behind its end")
	}
	return d
}
