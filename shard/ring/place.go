// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring

import "github.com/quorate/quorate/internal/rendezvous"

// slotHash returns the hash of a slot, which with those of the members decides
// how near they are.
func (r *Ring) slotHash(slot int) uint64 { return rendezvous.Mix(r.options.Seed, uint64(slot)) }

// neighbour is a member, by index, and how near it is to some slot.
type neighbour struct {
	distance, weight uint64
	member           int
}

// nearer orders the members at a slot. Of two that are equally near the first
// in order of their IDs is the nearer one.
func (n neighbour) nearer(than neighbour) bool {
	return rendezvous.Nearer(n.distance, n.weight, than.distance, than.weight) ||
		n.member < than.member && !rendezvous.Nearer(than.distance, than.weight, n.distance, n.weight)
}

// neighbour returns how near a member is to the slot with that hash.
func (r *Ring) neighbour(slotHash uint64, member int) neighbour {
	pair := rendezvous.Pair(slotHash, r.hashes[member])
	return neighbour{rendezvous.Distance(pair), r.weights[member], member}
}

// reach returns how far from a slot a member may be, whatever its weight, to have
// a chance to be nearer than n: what is above that need not be looked at closer.
func (r *Ring) reach(n neighbour) uint64 { return n.distance * r.heaviest / n.weight }

// nearestOf returns the nearest of n and of some members.
func (r *Ring) nearestOf(n neighbour, slotHash uint64, members []int) neighbour {
	reach := r.reach(n)
	for _, i := range members {
		if rendezvous.AtLeast(rendezvous.Pair(slotHash, r.hashes[i])) > reach {
			continue
		}
		if m := r.neighbour(slotHash, i); m.nearer(n) {
			n, reach = m, r.reach(m)
		}
	}
	return n
}

// place finds the owner of each slot.
func (r *Ring) place() {
	for slot := range r.owner {
		r.owner[slot] = r.nearestOfAll(slot)
	}
}

// nearestOfAll is where New spends its time, slots times members.
func (r *Ring) nearestOfAll(slot int) uint16 {
	slotHash := r.slotHash(slot)
	n := r.neighbour(slotHash, 0)
	reach := r.reach(n)
	for i, hash := range r.hashes {
		if rendezvous.AtLeast(rendezvous.Pair(slotHash, hash)) > reach {
			continue
		}
		if m := r.neighbour(slotHash, i); m.nearer(n) {
			n, reach = m, r.reach(m)
		}
	}
	return uint16(n.member)
}

// change finds the owner of each slot from those in a ring with other members: a
// slot whose owner stays, and is not farther than it was, can only go to one who
// is new or nearer than he was. All others are what they were to each other.
func (r *Ring) change(from *Ring) {
	now := make([]int, len(from.members)) // by index there: the index here
	stays := make([]bool, len(from.members))
	rising := []int{}
	i := 0
	for old, m := range from.members {
		for ; i < len(r.members) && r.members[i].ID < m.ID; i++ {
			rising = append(rising, i)
		}
		if i == len(r.members) || r.members[i].ID != m.ID {
			continue
		}
		now[old], stays[old] = i, r.weights[i] >= from.weights[old]
		if r.weights[i] > from.weights[old] {
			rising = append(rising, i)
		}
		i++
	}
	for ; i < len(r.members); i++ {
		rising = append(rising, i)
	}
	for slot, old := range from.owner {
		switch {
		case !stays[old]:
			r.owner[slot] = r.nearestOfAll(slot)
		case len(rising) == 0:
			r.owner[slot] = uint16(now[old])
		default:
			hash := r.slotHash(slot)
			r.owner[slot] = uint16(r.nearestOf(r.neighbour(hash, now[old]), hash, rising).member)
		}
	}
}
