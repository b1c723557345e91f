// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"math"
	"slices"

	"github.com/quorate/quorate/internal/rendezvous"
)

// nearest returns the n nearest members of a slot, the nearest first; with apart
// not two of one zone. It may use buf for them.
//
// There is no table of them, which would have to be as large as all members' for
// each slot. It looks at each member, at nearly all with one hash.
func (r *Ring) nearest(buf []neighbour, slot, n int, apart bool) []neighbour {
	n = min(n, len(r.members))
	if apart {
		n = min(n, r.zones)
	}
	if n < 1 {
		return nil
	}
	full := max(2*n, 8)
	near := slices.Grow(buf[:0], min(full, len(r.members)))
	hash := r.slotHash(slot)
	reach := uint64(math.MaxUint64)
	for i, member := range r.hashes {
		if rendezvous.AtLeast(rendezvous.Pair(hash, member)) > reach {
			continue
		}
		near = append(near, r.neighbour(hash, i))
		if len(near) == full {
			near = r.cut(near, n, apart)
			if len(near) == n {
				reach = r.reach(near[n-1])
			}
		}
	}
	return r.cut(near, n, apart)
}

// cut returns the n nearest of some; with apart only the nearest of each zone.
func (r *Ring) cut(near []neighbour, n int, apart bool) []neighbour {
	slices.SortFunc(near, func(a, b neighbour) int {
		if a.nearer(b) {
			return -1
		}
		return 1 // no two are the same
	})
	if !apart {
		return near[:min(n, len(near))]
	}
	kept := near[:0]
	for _, m := range near {
		zone := r.members[m.member].Zone
		if zone == "" || !slices.ContainsFunc(kept, func(k neighbour) bool { return r.members[k.member].Zone == zone }) {
			kept = append(kept, m)
		}
		if len(kept) == n {
			break
		}
	}
	return kept
}
