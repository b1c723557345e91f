// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package rendezvous_test

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/internal/rendezvous"
)

// pairs are the odd ones and many of all sizes.
func pairs() []uint64 {
	d := rand.New(rand.NewPCG(1, 1))
	ps := []uint64{0, 1, 2, 3, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, math.MaxUint64 - 1, math.MaxUint64}
	for range 200_000 {
		ps = append(ps, d.Uint64()>>d.IntN(64))
	}
	for range 100_000 { // close to one
		ps = append(ps, ^(d.Uint64() >> d.IntN(64)))
	}
	return ps
}

func TestDistanceIsExact(t *testing.T) {
	worst := 0.0
	for _, p := range pairs() {
		got := float64(rendezvous.Distance(p)) / (1 << 32)
		// -log2(p/2^64), without the loss of 1-p/2^64 close to 0.
		want := -math.Log1p(-float64(-(p|1))/(1<<64)) / math.Ln2
		if p < 1<<63 {
			want = 64 - math.Log2(float64(p|1))
		}
		off := math.Abs(got - want)
		worst = max(worst, (off-2.0/(1<<32))/want)
		if rendezvous.Distance(p) >= 1<<39 || off > 1.0/(1<<18) {
			t.Fatalf("pair %#x: distance is %f, want %f", p, got, want)
		}
	}
	t.Logf("off by a part in %.0f, beyond the last digit", 1/worst)
	require.Less(t, worst, 1.0/1000)
}

func TestDistanceFalls(t *testing.T) {
	d := rand.New(rand.NewPCG(2, 2))
	for range 300_000 {
		a := d.Uint64() >> d.IntN(64)
		b := a + d.Uint64()>>(1+d.IntN(63))
		if b > a && rendezvous.Distance(a) < rendezvous.Distance(b) {
			t.Fatalf("%#x is nearer than %#x", a, b)
		}
	}
}

func TestAtLeast(t *testing.T) {
	check := func(p uint64) {
		if rendezvous.AtLeast(p) > rendezvous.Distance(p) {
			t.Fatalf("pair %#x: at least %#x, is %#x", p, rendezvous.AtLeast(p), rendezvous.Distance(p))
		}
	}
	for _, p := range pairs() {
		check(p)
	}
	// All pieces of the curve, at their ends and in between.
	for i := range uint64(1 << 16) {
		for _, low := range []uint64{0, 1, 1 << 46, 1<<47 + 1, 1<<48 - 1} {
			check(i<<48 | low)
		}
	}
}

// TestGolden holds values that must be the same on every machine and for ever: a
// group whose members disagree about them would move shards to and fro.
func TestGolden(t *testing.T) {
	require.Equal(t, uint64(0xef46db3751d8e999), rendezvous.Member(""))
	for _, c := range []struct{ got, want uint64 }{
		{rendezvous.Member("a"), 0xd24ec4f1a98c6e5b},
		{rendezvous.Member("node-1"), 0x1664ee5e5c6b16a5},
		{rendezvous.Member("größer"), 0xa032936a36e5b9d8},
		{rendezvous.Mix(0, 0), 0xe220a8397b1dcdaf},
		{rendezvous.Mix(0, 1), 0x6e789e6aa1b965f4},
		{rendezvous.Mix(1, 0), 0x910a2dec89025cc1},
		{rendezvous.Mix(42, 65535), 0x222060073a06dce1},
		{rendezvous.Pair(0x0, 0x0), 0x0},
		{rendezvous.Pair(0x1, 0x2), 0x1e535eede31428f0},
		{rendezvous.Pair(0xdeadbeef, 0xcafe), 0xef037338dff8a257},
		{rendezvous.Distance(0x0), 0x4000000000},
		{rendezvous.Distance(0x1), 0x4000000000},
		{rendezvous.Distance(0x3), 0x3e6a3fe5c7},
		{rendezvous.Distance(0x4000000000000000), 0x200000000},
		{rendezvous.Distance(0x8000000000000000), 0x100000000},
		{rendezvous.Distance(0xc000000000000000), 0x6a3fe5c7},
		{rendezvous.Distance(0xb504f333f9de6484), 0x8000036e},
		{rendezvous.Distance(0x123456789abcdef0), 0x3d05412fc},
		{rendezvous.Distance(0xffffffffffffffff), 0x1},
	} {
		require.Equal(t, c.want, c.got, "%#x", c.got)
	}
}

// winner is the plain form of what the planner does.
func winner(key uint64, ids []string, weights []uint64) int {
	best, nearest, weight := -1, uint64(rendezvous.Far), uint64(1)
	for i, id := range ids {
		d := rendezvous.Distance(rendezvous.Pair(rendezvous.Mix(0, key), rendezvous.Member(id)))
		if rendezvous.Nearer(d, weights[i], nearest, weight) {
			best, nearest, weight = i, d, weights[i]
		}
	}
	return best
}

func TestSharesFollowWeights(t *testing.T) {
	const keys = 200_000
	for _, weights := range [][]uint64{
		{1, 1, 1, 1}, {1, 2, 3, 4}, {100, 100, 50, 1}, {1 << 20, 1 << 19, 1 << 18}, {7, 7, 7, 7, 7, 7, 7, 7, 7, 93},
	} {
		ids, all := make([]string, len(weights)), uint64(0)
		for i, w := range weights {
			ids[i] = fmt.Sprintf("member-%d", i)
			all += w
		}
		won := make([]int, len(ids))
		for k := range uint64(keys) {
			won[winner(k, ids, weights)]++
		}
		for i, w := range weights {
			part := float64(w) / float64(all)
			// Five standard deviations: the keys are always the same ones.
			off := 5 * math.Sqrt(keys*part*(1-part))
			require.InDelta(t, keys*part, won[i], off, "weights %v, member %d", weights, i)
		}
	}
}

// TestOnlyTheirs holds that a join moves keys to who joins alone, and a leave
// only keys of who leaves; so does a change of weight.
func TestOnlyTheirs(t *testing.T) {
	ids := []string{"a", "b", "c", "d", "e"}
	weights := []uint64{100, 50, 200, 100, 1}
	heavier := []uint64{100, 50, 300, 100, 1}
	moved := 0
	for k := range uint64(50_000) {
		four, five := winner(k, ids[:4], weights), winner(k, ids, weights)
		if five != four && five != 4 {
			t.Fatalf("key %d goes from %d to %d when 4 joins", k, four, five)
		}
		more := winner(k, ids, heavier)
		if more != five && more != 2 {
			t.Fatalf("key %d goes from %d to %d when 2 gets heavier", k, five, more)
		}
		if more != five {
			moved++
		}
	}
	require.InDelta(t, 50_000*(300.0/551-200.0/451), moved, 700)
}

// TestFar holds that Far is farther than anything.
func TestFar(t *testing.T) {
	const heaviest = 1 << 20
	require.True(t, rendezvous.Nearer(rendezvous.Distance(0), 1, rendezvous.Far, 1))
	require.True(t, rendezvous.Nearer(rendezvous.Distance(0), heaviest, rendezvous.Far, 1))
	hi, _ := bits.Mul64(rendezvous.Far, heaviest)
	require.Zero(t, hi, "overflows")
}

// TestMixSpreads holds that each bit of either number changes half of the result.
func TestMixSpreads(t *testing.T) {
	for bit := range 64 {
		var a, b, pair int
		for n := range uint64(1000) {
			x, y := n*0x9e3779b97f4a7c15, n
			a += bits.OnesCount64(rendezvous.Mix(x, y) ^ rendezvous.Mix(x^1<<bit, y))
			b += bits.OnesCount64(rendezvous.Mix(x, y) ^ rendezvous.Mix(x, y^1<<bit))
			pair += bits.OnesCount64(rendezvous.Pair(x, y) ^ rendezvous.Pair(x^1<<bit, y))
		}
		for _, n := range []int{a, b, pair} {
			require.InDelta(t, 32_000, n, 1500, "bit %d", bit)
		}
	}
	require.NotEqual(t, rendezvous.Mix(1, 2), rendezvous.Mix(2, 1))
}

func BenchmarkDistance(b *testing.B) {
	p, sum := uint64(1), uint64(0)
	for b.Loop() {
		p = p*6364136223846793005 + 1
		sum += rendezvous.Distance(p)
	}
	_ = sum
}
