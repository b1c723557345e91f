// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner

// targets returns how many shards each member should have, of total in all, so
// that its own number, and that of its group, is within its bounds, and that the
// fewest shards leave who has them. Groups are zones, but for roll-outs.
//
// The groups are dealt with first, as if each were a member: what a group has is
// what its members would keep. Below that number each shard less costs a move,
// above it more cost nothing, so a group's cost has the same form as a member's,
// and the same choice is the cheapest.
func targets(total int, had []int, weights []uint64, due dues, order []uint64) []int {
	n := len(due.groups)
	keep, sums := make([]int, n), make([]bounds, n)
	weight, first := make([]uint64, n), make([]uint64, n)
	for g, of := range due.groups {
		var all bounds
		for k, i := range of {
			b := due.members[i]
			keep[g] += min(max(had[i], b.lo), b.hi)
			weight[g] += weights[i]
			all.lo += b.lo
			all.hi += b.hi
			if k == 0 || order[i] < first[g] {
				first[g] = order[i]
			}
		}
		b := due.sums[g]
		sums[g] = bounds{min(max(b.lo, all.lo), all.hi), max(min(b.hi, all.hi), all.lo)}
	}
	q := make([]int, len(had))
	for g, total := range quotas(total, keep, weight, sums, first) {
		of := due.groups[g]
		for k, v := range quotas(total, pick(of, had), pick(of, weights), pick(of, due.members), pick(of, order)) {
			q[of[k]] = v
		}
	}
	return q
}

func pick[T any](of []int, all []T) []T {
	out := make([]T, len(of))
	for n, i := range of {
		out[n] = all[i]
	}
	return out
}
