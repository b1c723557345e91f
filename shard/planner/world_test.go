// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/quorate/quorate/shard/planner"
)

// dice throws numbers from 0 to n-1: a seeded generator, or the bytes of a fuzzer.
type dice interface{ IntN(n int) int }

// A world is a group to which things happen. Its Input is never changed in place.
type world struct {
	dice
	in    planner.Input
	most  int // members
	fresh int // number of the next one
}

func newWorld(d dice, shards, members int) *world {
	w := &world{dice: d, most: members, in: planner.Input{Shards: 1 + d.IntN(shards), Seed: uint64(d.IntN(3))}}
	for range d.IntN(members + 1) {
		w.join()
	}
	return w
}

func (w *world) member() planner.Member {
	w.fresh++
	m := planner.Member{ID: fmt.Sprintf("%c%d", 'a'+w.IntN(26), w.fresh), Version: []string{"", "v1", "v2"}[w.IntN(3)]}
	w.vary(&m)
	return m
}

func (w *world) vary(m *planner.Member) {
	if w.IntN(3) == 0 {
		m.Weight = w.IntN(5) * w.IntN(100)
	}
	if w.IntN(4) == 0 {
		m.Capacity = w.IntN(2) * (1 + w.IntN(w.in.Shards*3/2+1))
	}
	if w.IntN(2) == 0 {
		m.Zone = []string{"", "x", "y", "z"}[w.IntN(4)]
	}
}

func (w *world) join() {
	if len(w.in.Members) < w.most {
		w.in.Members = append(slices.Clone(w.in.Members), w.member())
	}
}

// some returns the index of a member, which is copied before; -1 if there is none.
func (w *world) some() int {
	if len(w.in.Members) == 0 {
		return -1
	}
	w.in.Members = slices.Clone(w.in.Members)
	return w.IntN(len(w.in.Members))
}

func (w *world) pins() map[int]string {
	pins := map[int]string{}
	for s, id := range w.in.Pins {
		pins[s] = id
	}
	return pins
}

// change makes one thing happen.
func (w *world) change() {
	i := w.some()
	switch kind := w.IntN(32); {
	case kind < 8 || i < 0:
		w.join()
	case kind < 14:
		w.in.Members = slices.Delete(w.in.Members, i, i+1)
	case kind < 16: // one leaves, another comes
		w.in.Members[i] = w.member()
	case kind < 19:
		w.vary(&w.in.Members[i])
	case kind < 21:
		w.in.Members[i].Draining = !w.in.Members[i].Draining
	case kind < 23:
		w.in.Members[i].Version = []string{"v1", "v2"}[w.IntN(2)]
	case kind < 25:
		pins := w.pins()
		pins[w.IntN(w.in.Shards)] = w.in.Members[i].ID
		w.in.Pins = pins
	case kind < 26:
		w.in.Pins = nil
	case kind < 27:
		w.in.Prefer = []string{"", "", "v1", "v2"}[w.IntN(4)]
		w.in.Overfill = w.IntN(150)
	case kind < 28:
		w.in.MaxMoves = w.IntN(2) * (1 + w.IntN(w.in.Shards))
	case kind < 29:
		w.in.Load = nil
	case kind < 30:
		w.heat()
	default:
		w.in.Seed = uint64(w.IntN(3))
	}
}

func (w *world) heat() {
	w.in.Load = make([]uint32, w.in.Shards)
	for s := range w.in.Load {
		w.in.Load[s] = uint32(w.IntN(4) * w.IntN(100))
	}
	w.in.LoadMoves = w.IntN(4) - 1
	w.in.LoadSlack = w.IntN(101)
	w.in.LoadStart, w.in.LoadStop = w.IntN(30), w.IntN(10)
}

// shuffled returns the same Input in another order.
func shuffled(in planner.Input, d *rand.Rand) planner.Input {
	in.Members = slices.Clone(in.Members)
	d.Shuffle(len(in.Members), func(i, j int) { in.Members[i], in.Members[j] = in.Members[j], in.Members[i] })
	old := in.Prev.Members
	to := d.Perm(len(old) + 1) // one of them means nobody
	in.Prev = planner.Table{Members: make([]string, len(to)), Owner: slices.Clone(in.Prev.Owner)}
	for i := range to {
		in.Prev.Members[i] = fmt.Sprintf("nobody %d", i)
	}
	for i, id := range old {
		in.Prev.Members[to[i]] = id
	}
	for s, o := range in.Prev.Owner {
		if o != planner.Nobody {
			in.Prev.Owner[s] = int32(to[o])
		}
	}
	return in
}
