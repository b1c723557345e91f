// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring_test

import (
	"math"
	"math/big"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/shard/ring"
)

func newBalancer(t require.TestingT, r *ring.Ring, factor float64) *ring.Balancer {
	b, err := ring.NewBalancer(r, &ring.BalancerOptions{Factor: factor})
	require.NoError(t, err)
	return b
}

// bounds returns what each member may carry of total requests in flight, by exact
// arithmetic; millionths is the factor.
func bounds(ms []ring.Member, total int, millionths int64) map[string]int {
	var all int64
	for _, m := range ms {
		all += int64(weightOf(m))
	}
	most := map[string]int{}
	for _, m := range ms {
		num := big.NewInt(millionths)
		num.Mul(num, big.NewInt(int64(weightOf(m)))).Mul(num, big.NewInt(int64(total)))
		whole, rest := num.QuoRem(num, big.NewInt(all*1_000_000), new(big.Int))
		most[m.ID] = int(whole.Int64()) + rest.Sign()
	}
	return most
}

// Whatever is acquired, released and changed, in whatever order: each request goes
// to the nearest member whose bound it does not exceed.
func TestBalancerDoesWhatTheModelDoes(t *testing.T) {
	property(t, "any", func(t *rapid.T) {
		ms, o := drawMembers(t, 0), drawOptions(t)
		r := newRing(t, ms, o)
		millionths := rapid.Int64Range(1_000_000, 3_000_000).Draw(t, "factor")
		b := newBalancer(t, r, float64(millionths)/1_000_000)
		hot := some[:rapid.IntRange(1, 10).Draw(t, "keys")]
		model := map[string]int{}
		type request struct {
			member  string
			release func()
		}
		var inFlight []request
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"acquire", "acquire", "acquire", "release", "update"}).Draw(t, "step") {
			case "acquire":
				key := rapid.SampledFrom(hot).Draw(t, "key")
				total := 1
				for _, m := range ms {
					total += model[m.ID]
				}
				most := bounds(ms, total, millionths)
				order := r.GetN(key, len(ms))
				at := slices.IndexFunc(order, func(id string) bool { return model[id] < most[id] })
				member, release := b.Acquire(key)
				if len(ms) == 0 {
					require.Empty(t, member)
					release()
					continue
				}
				require.GreaterOrEqual(t, at, 0, "nobody has room")
				require.Equal(t, order[at], member)
				model[member]++
				inFlight = append(inFlight, request{member, release})
			case "release":
				if len(inFlight) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(inFlight)-1).Draw(t, "which")
				inFlight[i].release()
				inFlight[i].release() // does nothing
				model[inFlight[i].member]--
				inFlight = slices.Delete(inFlight, i, i+1)
			case "update":
				other := drawMembers(t, 0)
				for _, m := range ms {
					known := slices.ContainsFunc(other, func(o ring.Member) bool { return o.ID == m.ID })
					if !known && rapid.Bool().Draw(t, "stays") {
						other = append(other, m)
					}
				}
				var err error
				r, err = r.With(other)
				require.NoError(t, err)
				ms = other
				b.Update(r)
				require.Same(t, r, b.Ring())
			}
			for id, n := range model {
				require.Equal(t, n, b.InFlight(id))
			}
		}
	})
}

// While requests only come, a bound only grows, so what was never exceeded can be
// seen at the end, however many goroutines took part.
func TestBoundsHoldUnderConcurrency(t *testing.T) {
	ms := names(0, 30)
	for i := range ms {
		ms[i].Weight = 10 + i*i
	}
	b := newBalancer(t, newRing(t, ms, nil), 1.1)
	const goroutines, each = 8, 2000
	releases := make([][]func(), goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				_, release := b.Acquire(some[i%(g+1)]) // few keys, so most are turned away
				releases[g] = append(releases[g], release)
			}
		})
	}
	wg.Wait()
	total := 0
	for id, most := range bounds(ms, goroutines*each, 1_100_000) {
		require.LessOrEqual(t, b.InFlight(id), most)
		total += b.InFlight(id)
	}
	require.Equal(t, goroutines*each, total)
	for _, of := range releases {
		wg.Go(func() {
			for _, release := range of {
				release()
			}
		})
	}
	wg.Wait()
	for _, m := range ms {
		require.Zero(t, b.InFlight(m.ID))
	}
}

// Requests come and go while the members change under them: nothing is lost or
// counted twice.
func TestUpdateUnderConcurrency(t *testing.T) {
	ms := names(0, 12)
	var rings []*ring.Ring
	for i := range ms {
		rings = append(rings, newRing(t, ms[:i+1], &ring.Options{Slots: fewSlots << (i % 3)}))
	}
	b := newBalancer(t, rings[0], 1)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1500 {
				member, release := b.Acquire("hot")
				if member == "" {
					t.Error("no member")
				}
				if i%3 == 0 {
					wg.Go(release)
				} else {
					release()
				}
			}
		})
	}
	for i := range 300 {
		b.Update(rings[i%len(rings)])
	}
	wg.Wait()
	for _, m := range ms {
		require.Zero(t, b.InFlight(m.ID))
	}
}

// One hot key fills its members in their order: what falls over always goes to the
// same next one, so that few members get to know the key.
func TestFallOverIsConsistent(t *testing.T) {
	r := newRing(t, names(0, 100), nil)
	for _, key := range some[:20] {
		b := newBalancer(t, r, 2)
		var met []string
		for range 300 {
			member, _ := b.Acquire(key)
			if !slices.Contains(met, member) {
				met = append(met, member)
			}
		}
		require.Equal(t, r.GetN(key, len(met)), met)
		require.Len(t, met, 50)
	}
}

// What is in flight at a member that leaves goes on, and is there if it returns.
func TestCountsOutliveAMember(t *testing.T) {
	r := newRing(t, names(0, 2), nil)
	b := newBalancer(t, r, 1)
	first, release := b.Acquire("k")
	less, err := r.With(without(names(0, 2), first))
	require.NoError(t, err)
	b.Update(less)
	require.Equal(t, 1, b.InFlight(first))
	for range 3 {
		member, release := b.Acquire("k")
		require.NotEqual(t, first, member)
		release()
	}
	b.Update(r)
	second, releaseSecond := b.Acquire("k")
	require.NotEqual(t, first, second, "one of two is in flight there already")
	releaseSecond()
	b.Update(less)
	release()
	release()
	require.Zero(t, b.InFlight(first))
	b.Update(r)
	member, _ := b.Acquire("k")
	require.Equal(t, first, member)
}

func TestBalancerWithoutMembers(t *testing.T) {
	b := newBalancer(t, newRing(t, nil, nil), 0)
	member, release := b.Acquire("k")
	require.Empty(t, member)
	release()
	b.Update(newRing(t, names(0, 1), nil))
	member, _ = b.Acquire("k")
	require.Equal(t, "member-0000", member)
	require.Zero(t, b.InFlight("nobody"))
}

func TestInvalidBalancer(t *testing.T) {
	_, err := ring.NewBalancer(nil, nil)
	require.ErrorIs(t, err, ring.ErrInvalid)
	require.EqualError(t, err, "ring: new balancer: invalid argument: ring is nil")
	for _, factor := range []float64{0.99, -1, 100.5, math.NaN(), math.Inf(1), math.Inf(-1)} {
		_, err := ring.NewBalancer(newRing(t, nil, nil), &ring.BalancerOptions{Factor: factor})
		require.ErrorIs(t, err, ring.ErrInvalid)
		require.ErrorContains(t, err, "Factor is")
		require.ErrorContains(t, err, "must be from 1 to 100")
	}
}
