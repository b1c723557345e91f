// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner

import "container/heap"

// quotas returns how many shards each of all members should have: numbers
// within bounds that sum up to total, so that the fewest shards have to leave
// who has them. Had is what each has now.
//
// Everybody first keeps what he has, as far as his bounds allow. If the sum is
// short of total, it costs nothing to give more to those with room; if it is
// above, each that somebody must give less costs one move whoever it is. So
// any choice is as cheap as any other, and the least filled get, or the fullest
// give; who comes first in order is first among equals.
func quotas(total int, had []int, weights []uint64, bs []bounds, order []uint64) []int {
	q := make([]int, len(had))
	missing := total
	for i, b := range bs {
		q[i] = min(max(had[i], b.lo), b.hi)
		missing -= q[i]
	}
	if missing == 0 {
		return q
	}
	f := &filling{q: q, weights: weights, order: order, up: missing > 0}
	for i, b := range bs {
		if f.up && q[i] < b.hi || !f.up && q[i] > b.lo {
			f.open = append(f.open, i)
		}
	}
	heap.Init(f)
	for missing != 0 && len(f.open) > 0 {
		i := f.open[0]
		full := false
		if f.up {
			q[i]++
			missing--
			full = q[i] == bs[i].hi
		} else {
			q[i]--
			missing++
			full = q[i] == bs[i].lo
		}
		if full {
			heap.Pop(f)
		} else {
			heap.Fix(f, 0)
		}
	}
	return q
}

// filling is a heap of members, that one on top whose number changes next.
type filling struct {
	q       []int
	weights []uint64
	order   []uint64
	open    []int
	up      bool
}

func (f *filling) Len() int      { return len(f.open) }
func (f *filling) Swap(a, b int) { f.open[a], f.open[b] = f.open[b], f.open[a] }
func (f *filling) Push(x any)    { f.open = append(f.open, x.(int)) }

func (f *filling) Pop() any {
	last := len(f.open) - 1
	i := f.open[last]
	f.open = f.open[:last]
	return i
}

func (f *filling) Less(a, b int) bool {
	i, j := f.open[a], f.open[b]
	// Going up, whoever would be filled least by one more; going down,
	// whoever is filled most.
	x, y := uint64(f.q[i]), uint64(f.q[j])
	if f.up {
		x, y = x+1, y+1
	} else {
		i, j, x, y = j, i, y, x
	}
	wi, wj := f.weights[i], f.weights[j]
	if wi == 0 && wj == 0 {
		wi, wj = 1, 1 // else whoever has no weight is the fullest
	}
	if x, y = x*wj, y*wi; x != y {
		return x < y
	}
	return f.order[f.open[a]] < f.order[f.open[b]]
}
