// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/shard/ring"
)

// some are enough keys to meet nearly all of the slots that properties are tried with.
var some = keys(1500)

const fewSlots = 256

var (
	weights = rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 400), rapid.IntRange(1, ring.MaxWeight))
	zones   = rapid.SampledFrom([]string{"", "a", "b", "c"})
)

// drawMembers draws at least min members, in any order.
func drawMembers(t *rapid.T, min int) []ring.Member {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) ring.Member {
		return ring.Member{
			ID:     rapid.StringMatching(`[a-h]{1,3}|.{1,4}`).Draw(t, "id"),
			Weight: weights.Draw(t, "weight"),
			Zone:   zones.Draw(t, "zone"),
		}
	}), min, 24, func(m ring.Member) string { return m.ID }).Draw(t, "members")
}

func drawOptions(t *rapid.T) *ring.Options {
	return &ring.Options{Slots: fewSlots, Seed: rapid.SampledFrom([]uint64{0, 1, 1 << 63}).Draw(t, "seed")}
}

// drawOne draws a member to change, and returns it with the others.
func drawOne(t *rapid.T, ms []ring.Member) (one ring.Member, others []ring.Member) {
	i := rapid.IntRange(0, len(ms)-1).Draw(t, "which")
	return ms[i], slices.Delete(slices.Clone(ms), i, i+1)
}

func weightOf(m ring.Member) int {
	if m.Weight == 0 {
		return ring.DefaultWeight
	}
	return m.Weight
}

// property runs check with what it drew, as a subtest.
func property(t *testing.T, name string, check func(t *rapid.T)) {
	t.Run(name, func(t *testing.T) { rapid.Check(t, check) })
}

// moves returns who had each key that moved, and who has it now.
func moves(from, to *ring.Ring) (moved [][2]string) {
	for _, key := range some {
		if a, b := from.Get(key), to.Get(key); a != b {
			moved = append(moved, [2]string{a, b})
		}
	}
	return moved
}

// same says in which key two rings differ.
func same(a, b *ring.Ring) error {
	for _, key := range some {
		if x, y := a.Get(key), b.Get(key); x != y {
			return fmt.Errorf("%q is routed to %q and to %q", key, x, y)
		}
	}
	return nil
}
