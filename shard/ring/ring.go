// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/quorate/quorate/internal/rendezvous"
)

// Ring says which member a key is routed to. It never changes, so it may be used
// by any number of goroutines; for other members there is With.
type Ring struct {
	options  Options
	members  []Member // in order of their IDs
	weights  []uint64 // of members
	hashes   []uint64 // of members
	weight   uint64   // the sum of weights
	heaviest uint64   // the largest of weights
	zones    int      // how many; members without one count as one each

	shift uint     // a hash shifted by it is a slot
	owner []uint16 // by slot: an index into ids
	ids   []string // of members; one empty string if there are none
}

// New makes a Ring. The order of members does not matter. Without members it
// is not refused: whoever follows a membership may meet that state, and Get then
// returns the empty string.
func New(members []Member, o *Options) (*Ring, error) {
	r := &Ring{}
	if o != nil {
		r.options = *o
	}
	r.options.Slots = cmp.Or(r.options.Slots, DefaultSlots)
	if err := checkOptions(r.options); err != nil {
		return nil, err
	}
	if err := r.admit("new", members); err != nil {
		return nil, err
	}
	if len(r.members) > 0 {
		r.place()
	}
	return r, nil
}

// With returns a Ring of other members, with the same Options. It is the one
// that New returns; but to find out what a few changes change is quicker than
// to place everything anew, and nobody can forget the number of slots.
func (r *Ring) With(members []Member) (*Ring, error) {
	next := &Ring{options: r.options}
	if err := next.admit("with", members); err != nil {
		return nil, err
	}
	switch {
	case len(next.members) == 0:
	case len(r.members) == 0:
		next.place()
	default:
		next.change(r)
	}
	return next, nil
}

// admit fills in all but the owners.
func (r *Ring) admit(op string, members []Member) error {
	r.members = slices.Clone(members)
	slices.SortFunc(r.members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	if err := checkMembers(op, r.members); err != nil {
		return err
	}
	zones := map[string]bool{}
	for _, m := range r.members {
		if m.Zone == "" || !zones[m.Zone] {
			zones[m.Zone] = true
			r.zones++
		}
		r.ids = append(r.ids, m.ID)
		r.weights = append(r.weights, m.weight())
		r.hashes = append(r.hashes, rendezvous.Member(m.ID))
		r.weight += m.weight()
		r.heaviest = max(r.heaviest, m.weight())
	}
	if len(r.ids) == 0 {
		r.ids = []string{""}
	}
	r.shift = 64 - uint(bits.Len(uint(r.options.Slots))-1)
	r.owner = make([]uint16, r.options.Slots)
	return nil
}

// Get returns the ID of the member that a key is routed to, the empty string if
// there are no members.
func (r *Ring) Get(key string) string { return r.ids[r.owner[xxhash.Sum64String(key)>>r.shift]] }

// GetBytes is Get(string(key)).
func (r *Ring) GetBytes(key []byte) string { return r.ids[r.owner[xxhash.Sum64(key)>>r.shift]] }

// GetN returns the n nearest members of a key, the nearest first: that is the one
// that Get returns, the next is the one that Get would return without it, and
// so on. If there are fewer than n members it returns all of them, in that order.
func (r *Ring) GetN(key string, n int) []string { return r.get(key, n, false) }

// GetApart is GetN, but it passes over members in a zone that a nearer one
// returned is in. Members without a zone are each in one of their own. It returns
// fewer than n if there are not enough zones.
func (r *Ring) GetApart(key string, n int) []string { return r.get(key, n, true) }

func (r *Ring) get(key string, n int, apart bool) []string {
	var few [16]neighbour
	near := r.nearest(few[:0], int(xxhash.Sum64String(key)>>r.shift), n, apart)
	if len(near) == 0 {
		return nil
	}
	ids := make([]string, len(near))
	for i, m := range near {
		ids[i] = r.ids[m.member]
	}
	return ids
}

// Members returns the members in order of their IDs.
func (r *Ring) Members() []Member { return slices.Clone(r.members) }

// Options returns what the ring was made with, defaults filled in.
func (r *Ring) Options() Options { return r.options }
