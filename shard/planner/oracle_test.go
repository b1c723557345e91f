// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/shard/planner"
)

// An oracle tries all tables. It knows what a table must be like, and nothing of how
// one is found.
type oracle struct {
	in    planner.Input
	sp    spec
	owner []int
	count []int
	left  int // moves that may still be made
	none  int // shards that may still be without an owner
}

// within says whether there is a table as documented that takes no more than most moves.
func (o *oracle) within(most int) bool {
	o.owner, o.count = make([]int, o.in.Shards), make([]int, len(o.in.Members))
	o.left, o.none = most, o.in.Shards-o.sp.owned
	return o.try(0)
}

func (o *oracle) try(s int) bool {
	if s == o.in.Shards {
		return o.fits()
	}
	if o.left < 0 {
		return false
	}
	before := o.sp.before[s]
	for i := -1; i < len(o.in.Members); i++ {
		move := 0
		if i != before {
			move = 1
		}
		switch {
		case o.sp.fixed[s] && (i < 0 || o.in.Members[i].ID != o.in.Pins[s]):
			continue
		case o.left < move, i < 0 && o.none == 0, i >= 0 && o.count[i] == o.sp.member[i].hi:
			continue
		case i >= 0 && move == 1 && o.in.Members[i].Draining:
			continue
		}
		o.left -= move
		if i < 0 {
			o.none--
		} else {
			o.count[i]++
		}
		if o.try(s + 1) {
			return true
		}
		o.left += move
		if i < 0 {
			o.none++
		} else {
			o.count[i]--
		}
	}
	return false
}

// fits says whether the counts are as documented.
func (o *oracle) fits() bool {
	if o.none != 0 {
		return false
	}
	sums := map[string]int{}
	for i, n := range o.count {
		if n < o.sp.member[i].lo || n > o.sp.member[i].hi {
			return false
		}
		sums[o.sp.group[i]] += n
	}
	for g, due := range o.sp.sum {
		if sums[g] < due.lo || sums[g] > due.hi {
			return false
		}
	}
	return true
}

// TestFewestOfAll compares plans with all tables there are.
func TestFewestOfAll(t *testing.T) {
	cases := times(24000)
	var moves, crowded, rolling, pinned atomic.Int64
	t.Cleanup(func() { // cases in which nothing can go wrong would prove nothing
		t.Logf("%d cases: %d moves, %d crowded, %d roll-outs, %d with pins", cases, moves.Load(), crowded.Load(), rolling.Load(), pinned.Load())
		for _, some := range []*atomic.Int64{&moves, &crowded, &rolling, &pinned} {
			require.Greater(t, some.Load(), int64(cases/50))
		}
	})
	for half := range 2 {
		t.Run(fmt.Sprint(half), func(t *testing.T) {
			t.Parallel()
			for n := range cases / 2 {
				seed := uint64(n*2 + half)
				in := smallCase(seed)
				p, err := planner.Make(in)
				require.NoError(t, err)
				require.Zero(t, p.Deferred)
				o := oracle{in: in, sp: specify(in)}
				moves.Add(int64(len(p.Moves)))
				for _, c := range []struct {
					is    bool
					count *atomic.Int64
				}{{o.sp.crowded, &crowded}, {o.sp.rolling, &rolling}, {len(o.sp.fixed) > 0, &pinned}} {
					if c.is {
						c.count.Add(1)
					}
				}
				require.True(t, o.within(len(p.Moves)), "seed %d: no table as documented takes %d moves: %s", seed, len(p.Moves), show(in))
				require.False(t, o.within(len(p.Moves)-1), "seed %d: fewer than %d moves are enough: %s", seed, len(p.Moves), show(in))
				require.Equal(t, len(p.Moves), p.Minimum, "seed %d", seed)
			}
		})
	}
}

// smallCase is a group of up to four members and seven shards after some changes,
// from any table: one that no planner made, too.
func smallCase(seed uint64) planner.Input {
	d := rand.New(rand.NewPCG(seed, 7))
	w := newWorld(d, 7, 4)
	for range 12 {
		w.change()
	}
	w.in.MaxMoves, w.in.LoadMoves = 0, -1
	ids := []string{"gone"}
	for _, m := range w.in.Members {
		ids = append(ids, m.ID)
	}
	w.in.Prev = planner.Table{Members: ids, Owner: make([]int32, w.in.Shards)}
	for s := range w.in.Prev.Owner {
		w.in.Prev.Owner[s] = int32(max(d.IntN(len(ids)*4)/3-1, -1)) % int32(len(ids))
		if d.IntN(3) > 0 && s > 0 {
			w.in.Prev.Owner[s] = w.in.Prev.Owner[s-1] // uneven more often than not
		}
	}
	return w.in
}
