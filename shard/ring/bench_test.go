// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/shard/ring"
)

// names returns n ids, from the from-th on.
func names(from, n int) []ring.Member {
	ms := make([]ring.Member, n)
	for i := range ms {
		ms[i].ID = fmt.Sprintf("member-%04d", from+i)
	}
	return ms
}

func keys(n int) []string {
	ks := make([]string, n)
	for i := range ks {
		ks[i] = fmt.Sprintf("user/%08d", i)
	}
	return ks
}

func newRing(t require.TestingT, members []ring.Member, o *ring.Options) *ring.Ring {
	r, err := ring.New(members, o)
	require.NoError(t, err)
	return r
}

var sizes = []int{10, 100, 1000}

func BenchmarkGet(b *testing.B) {
	ks := keys(1 << 16)
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRing(b, names(0, n), nil)
			i := 0
			for b.Loop() {
				r.Get(ks[i&(1<<16-1)])
				i++
			}
		})
	}
}

func BenchmarkGetN3(b *testing.B) {
	ks := keys(1 << 10)
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRing(b, names(0, n), nil)
			i := 0
			for b.Loop() {
				r.GetN(ks[i&(1<<10-1)], 3)
				i++
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for _, slots := range []int{1 << 16, ring.DefaultSlots, 1 << 20} {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%dx%d", slots, n), func(b *testing.B) {
				ms := names(0, n)
				for b.Loop() {
					newRing(b, ms, &ring.Options{Slots: slots})
				}
			})
		}
	}
}

// Requests that come and go one by one, then while as many others are in flight
// as there are members times ten, of one key in four: so a part falls over.
func BenchmarkAcquire(b *testing.B) {
	ks := keys(1 << 10)
	for _, n := range sizes {
		for _, busy := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/busy=%v", n, busy), func(b *testing.B) {
				balancer, err := ring.NewBalancer(newRing(b, names(0, n), nil), nil)
				require.NoError(b, err)
				if busy {
					for i := range n * 10 {
						balancer.Acquire(ks[i%(n*10/4)&(1<<10-1)])
					}
				}
				i := 0
				for b.Loop() {
					_, release := balancer.Acquire(ks[i&(1<<10-1)])
					release()
					i++
				}
			})
		}
	}
}
