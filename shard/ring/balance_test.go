// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/shard/ring"
)

// judgeBalance says what is wrong with how many keys each member has, if each of
// the slots was drawn by lot, a member's chance being its weight's part. It goes
// five standard deviations far, which chance reaches in one case of a million; the
// keys are the same in each run.
func judgeBalance(ms []ring.Member, counts map[string]int, slots int) error {
	var all, total float64
	for _, m := range ms {
		all += float64(weightOf(m))
		total += float64(counts[m.ID])
	}
	// Slots spread what keys spread already.
	spread := 1 + total/float64(slots)
	var chi float64
	for _, m := range ms {
		p := float64(weightOf(m)) / all
		want, have := total*p, float64(counts[m.ID])
		sigma := math.Sqrt(total * p * (1 - p) * spread)
		if math.Abs(have-want) > 5*sigma {
			return fmt.Errorf("%s has %.0f keys, want %.0f ± %.0f", m.ID, have, want, 5*sigma)
		}
		chi += (have - want) * (have - want) / (want * spread)
	}
	free := float64(len(ms) - 1)
	if chi > free+5*math.Sqrt(2*free) {
		return fmt.Errorf("the keys are spread too unevenly: chi square is %.0f of %.0f", chi, free)
	}
	return nil
}

func count(r *ring.Ring, ks []string) map[string]int {
	counts := map[string]int{}
	for _, key := range ks {
		counts[r.Get(key)]++
	}
	return counts
}

// fullest returns how many times its share the fullest member has.
func fullest(ms []ring.Member, counts map[string]int) (most float64) {
	var all, total int
	for _, m := range ms {
		all += weightOf(m)
		total += counts[m.ID]
	}
	for _, m := range ms {
		most = max(most, float64(counts[m.ID])/float64(total)*float64(all)/float64(weightOf(m)))
	}
	return most
}

func TestBalance(t *testing.T) {
	ks := keys(500_000)
	for _, n := range []int{2, 10, 100, 1000} {
		if n == 1000 && testing.Short() {
			t.Skip("-short: 1,000 members take seconds to place")
		}
		equal, weighted := names(0, n), names(0, n)
		for i := range weighted {
			weighted[i].Weight = 50 + i*37%151
		}
		for name, ms := range map[string][]ring.Member{"equal": equal, "weighted": weighted} {
			t.Run(fmt.Sprint(n, " ", name), func(t *testing.T) {
				r := newRing(t, ms, nil)
				counts := count(r, ks)
				require.NoError(t, judgeBalance(ms, counts, ring.DefaultSlots))
				for seed := range uint64(3) {
					o := &ring.Options{Slots: 1 << 14, Seed: seed}
					require.NoError(t, judgeBalance(ms, count(newRing(t, ms, o), ks), o.Slots))
				}
				joined, err := r.With(append(names(n, 1), ms...))
				require.NoError(t, err)
				left, err := r.With(ms[1:])
				require.NoError(t, err)
				in, out := 0, 0
				for _, key := range ks {
					if r.Get(key) != joined.Get(key) {
						in++
					}
					if r.Get(key) != left.Get(key) {
						out++
					}
				}
				require.Equal(t, count(joined, ks)[names(n, 1)[0].ID], in)
				require.Equal(t, counts[ms[0].ID], out)
				t.Logf("the fullest has %.3f of its share; a join moves %.3f %%, a leave %.3f %% of %d keys",
					fullest(ms, counts), float64(in)*100/float64(len(ks)), float64(out)*100/float64(len(ks)), len(ks))
			})
		}
	}
}

// The extremes of weights side by side.
func TestHeavyAndLight(t *testing.T) {
	ms := names(0, 3)
	ms[0].Weight, ms[1].Weight, ms[2].Weight = ring.MaxWeight, ring.MaxWeight/4, 1
	counts := count(newRing(t, ms, nil), keys(300_000))
	require.NoError(t, judgeBalance(ms[:2], counts, ring.DefaultSlots))
	require.Less(t, counts[ms[2].ID], 20)
}

func TestTheJudgeOfBalanceFindsPlants(t *testing.T) {
	ks := keys(500_000)
	ms := names(0, 10)
	counts := count(newRing(t, ms, nil), ks)
	require.NoError(t, judgeBalance(ms, counts, ring.DefaultSlots))
	heavier := append(names(0, 9), ring.Member{ID: "member-0009", Weight: 105})
	require.ErrorContains(t, judgeBalance(heavier, counts, ring.DefaultSlots), "member-0009 has ")
	wavy := map[string]int{} // each a little off, which none alone shows
	for i, m := range ms {
		wavy[m.ID] = counts[m.ID] + 900*(1-i%2*2)
	}
	require.ErrorContains(t, judgeBalance(ms, wavy, ring.DefaultSlots), "chi square")
}
