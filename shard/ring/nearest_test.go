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

// without returns members without one.
func without(ms []ring.Member, id string) []ring.Member {
	return slices.DeleteFunc(slices.Clone(ms), func(m ring.Member) bool { return m.ID == id })
}

// The order of GetN is told by Get alone: take away the nearest, ask again.
func TestTheNextOneIsKnown(t *testing.T) {
	property(t, "n", func(t *rapid.T) {
		ms := drawMembers(t, 0)
		r := newRing(t, ms, drawOptions(t))
		key := rapid.SampledFrom(some).Draw(t, "key")
		n := rapid.IntRange(-1, len(ms)+2).Draw(t, "n")
		var want []string
		for left, lr := ms, r; len(want) < min(n, len(ms)); {
			next := lr.Get(key)
			want = append(want, next)
			left = without(left, next)
			var err error
			lr, err = lr.With(left)
			require.NoError(t, err)
		}
		require.Equal(t, want, r.GetN(key, n))
	})
	property(t, "apart", func(t *rapid.T) {
		ms := drawMembers(t, 0)
		r := newRing(t, ms, drawOptions(t))
		key := rapid.SampledFrom(some).Draw(t, "key")
		n := rapid.IntRange(-1, len(ms)+2).Draw(t, "n")
		zone := map[string]string{}
		for _, m := range ms {
			zone[m.ID] = m.Zone
		}
		var want []string
		taken := map[string]bool{}
		for _, id := range r.GetN(key, len(ms)) {
			if z := zone[id]; len(want) < n && (z == "" || !taken[z]) {
				want = append(want, id)
				taken[z] = true
			}
		}
		require.Equal(t, want, r.GetApart(key, n))
	})
}

func TestManyNeighbours(t *testing.T) {
	ms := names(0, 1000)
	for i := range ms {
		ms[i].Weight = 1 << (i % 20)
		ms[i].Zone = string(rune('a' + i%7))
	}
	r := newRing(t, ms, &ring.Options{Slots: ring.MinSlots})
	for _, key := range some[:50] {
		all := r.GetN(key, 5000)
		require.Len(t, all, 1000)
		require.Equal(t, r.Get(key), all[0])
		for _, n := range []int{1, 2, 3, 4, 5, 31, 400, 999} {
			require.Equal(t, all[:n], r.GetN(key, n))
		}
		slices.Sort(all)
		require.Len(t, slices.Compact(all), 1000)
		require.Len(t, r.GetApart(key, 5000), 7)
	}
}
