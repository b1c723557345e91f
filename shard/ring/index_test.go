// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/shard/ring"
)

// Data is laid out by these numbers. If this test fails, the code is wrong.
func TestIndexNeverChanges(t *testing.T) {
	for _, c := range []struct {
		key  string
		n    int
		want int
	}{
		{"", 4096, 3828},
		{"a", 4096, 3364},
		{"user/1", 4096, 4082},
		{"user/1", 1000, 996},
		{"user/1", 3, 2},
		{"user/1", 1, 0},
		{"user/1", 1 << 30, 1070158135},
		{"\x00\xff", 1 << 20, 920983},
		{"a key of more than thirty-two bytes, which are hashed otherwise", 65536, 57713},
	} {
		require.Equal(t, c.want, ring.Index(c.key, c.n), "%q of %d", c.key, c.n)
		require.Equal(t, c.want, ring.IndexBytes([]byte(c.key), c.n))
	}
}

func TestIndexIsUniform(t *testing.T) {
	ks := keys(300_000)
	for _, n := range []int{1, 2, 3, 10, 1000, 1023, 4096} {
		var chi float64
		counts := make([]int, n)
		for _, key := range ks {
			counts[ring.Index(key, n)]++
		}
		want := float64(len(ks)) / float64(n)
		for _, have := range counts {
			chi += (float64(have) - want) * (float64(have) - want) / want
		}
		free := float64(n - 1)
		require.InDelta(t, free, chi, 5*math.Sqrt(2*free), "of %d", n)
	}
}

func TestIndexOfAMultiple(t *testing.T) {
	property(t, "runs", func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		n, times := rapid.IntRange(1, 1<<20).Draw(t, "n"), rapid.IntRange(1, 1<<20).Draw(t, "times")
		require.Equal(t, ring.Index(key, n), ring.Index(key, n*times)/times)
	})
}

func TestIndexOfNothing(t *testing.T) {
	for _, n := range []int{0, -1} {
		want := fmt.Sprintf("ring: Index: n is %d, must be at least 1", n)
		require.PanicsWithValue(t, want, func() { ring.Index("k", n) })
		require.PanicsWithValue(t, want, func() { ring.IndexBytes(nil, n) })
	}
}
