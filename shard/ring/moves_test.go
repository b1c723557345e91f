// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/shard/ring"
)

func TestOnlyWhatMustMoves(t *testing.T) {
	property(t, "leave", func(t *rapid.T) {
		ms := drawMembers(t, 2)
		left, others := drawOne(t, ms)
		r := newRing(t, ms, drawOptions(t))
		next, err := r.With(others)
		require.NoError(t, err)
		for _, m := range moves(r, next) {
			require.Equal(t, left.ID, m[0])
		}
		for _, key := range some {
			require.NotEqual(t, left.ID, next.Get(key))
		}
	})
	property(t, "join", func(t *rapid.T) {
		ms := drawMembers(t, 2)
		joined, others := drawOne(t, ms)
		r := newRing(t, others, drawOptions(t))
		next, err := r.With(ms)
		require.NoError(t, err)
		for _, m := range moves(r, next) {
			require.Equal(t, joined.ID, m[1])
		}
	})
	property(t, "weight", func(t *rapid.T) {
		ms := drawMembers(t, 2)
		one, others := drawOne(t, ms)
		r := newRing(t, ms, drawOptions(t))
		changed := one
		changed.Weight = weights.Draw(t, "other weight")
		next, err := r.With(append(others, changed))
		require.NoError(t, err)
		for _, m := range moves(r, next) {
			if weightOf(changed) > weightOf(one) {
				require.Equal(t, one.ID, m[1])
			} else {
				require.Greater(t, weightOf(one), weightOf(changed))
				require.Equal(t, one.ID, m[0])
			}
		}
	})
	property(t, "zone", func(t *rapid.T) {
		ms := drawMembers(t, 1)
		r := newRing(t, ms, drawOptions(t))
		for i := range ms {
			ms[i].Zone = zones.Draw(t, "other zone")
		}
		require.NoError(t, same(r, newRing(t, ms, &ring.Options{Slots: fewSlots, Seed: r.Options().Seed})))
	})
}

// However one comes to some members: by New or by With, in whatever order.
func TestOneAnswer(t *testing.T) {
	property(t, "order", func(t *rapid.T) {
		ms, o := drawMembers(t, 0), drawOptions(t)
		require.NoError(t, same(newRing(t, ms, o), newRing(t, rapid.Permutation(ms).Draw(t, "order"), o)))
	})
	property(t, "with", func(t *rapid.T) {
		ms := drawMembers(t, 0)
		r := newRing(t, ms, drawOptions(t))
		for range 3 {
			var next []ring.Member
			for _, m := range append(slices.Clone(ms), drawMembers(t, 0)...) {
				known := slices.ContainsFunc(next, func(n ring.Member) bool { return n.ID == m.ID })
				if known || rapid.IntRange(0, 3).Draw(t, "leaves") == 0 {
					continue
				}
				if rapid.IntRange(0, 3).Draw(t, "changes") == 0 {
					m.Weight = weights.Draw(t, "other weight")
				}
				next = append(next, m)
			}
			was := r
			var err error
			r, err = was.With(next)
			require.NoError(t, err)
			o := was.Options()
			fresh := newRing(t, next, &o)
			require.NoError(t, same(fresh, r))
			require.Equal(t, fresh.Members(), r.Members())
			require.Equal(t, fresh.GetApart("k", 3), r.GetApart("k", 3))
			ms = next
		}
	})
}

// A ring with other slots or another seed is another ring: the properties above
// would hold in one that ignores its members' hashes, too.
func TestSlotsAndSeedMatter(t *testing.T) {
	r := newRing(t, names(0, 20), nil)
	require.Equal(t, ring.Options{Slots: ring.DefaultSlots}, r.Options())
	require.Greater(t, len(moves(r, newRing(t, names(0, 20), &ring.Options{Seed: 1}))), len(some)*9/10)
	require.Greater(t, len(moves(r, newRing(t, names(0, 20), &ring.Options{Slots: 1 << 17}))), len(some)*4/10)
}
