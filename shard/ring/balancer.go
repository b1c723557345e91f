// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// DefaultFactor is how full a member may be relative to its share.
const DefaultFactor = 1.25

// MaxFactor is the largest BalancerOptions.Factor.
const MaxFactor = 100

// BalancerOptions of a Balancer.
type BalancerOptions struct {
	// Factor is how many times its share of the requests in flight a member may
	// carry, from 1 to MaxFactor; 0 is DefaultFactor. It is used to the sixth
	// digit behind the point. Smaller is more even, larger keeps more keys with
	// their nearest member: 1.25 keeps most, 2 nearly all.
	Factor float64
}

// Balancer routes requests to the nearest member of their key that has not more
// in flight than its bound. It counts what goes through it alone. It may be used
// by any number of goroutines.
type Balancer struct {
	factor uint64 // in millionths

	mu    sync.Mutex
	ring  *Ring
	here  []*load          // of the ring's members, by index
	loads map[string]*load // of those, and of who left with requests in flight
	total int              // the sum over here
}

// load is what one member has in flight.
type load struct {
	id       string
	inFlight int
	here     bool // in the ring
}

const million = 1_000_000

// NewBalancer makes a Balancer, with nothing in flight.
func NewBalancer(r *Ring, o *BalancerOptions) (*Balancer, error) {
	factor := DefaultFactor
	if o != nil && o.Factor != 0 {
		factor = o.Factor
	}
	if r == nil {
		return nil, invalid("new balancer", "ring is nil")
	}
	if !(factor >= 1 && factor <= MaxFactor) { // NaN too
		return nil, invalid("new balancer", "Factor is %v, must be from 1 to %d", factor, MaxFactor)
	}
	b := &Balancer{factor: uint64(math.Round(factor * million)), loads: map[string]*load{}}
	b.Update(r)
	return b, nil
}

// Update goes on with another ring, which must not be nil. What is in flight
// stays where it is and counts on; a member that is not in the ring gets nothing
// more, and neither does one that is above its new bound until it is below.
func (b *Balancer) Update(r *Ring) {
	here := make([]*load, len(r.members))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.here {
		l.here = false
	}
	b.total = 0
	for i, m := range r.members {
		l := b.loads[m.ID]
		if l == nil {
			l = &load{id: m.ID}
			b.loads[m.ID] = l
		}
		l.here = true
		b.total += l.inFlight
		here[i] = l
	}
	for _, l := range b.here {
		b.forget(l)
	}
	b.ring, b.here = r, here
}

// forget drops who has left, as soon as nothing is in flight there.
func (b *Balancer) forget(l *load) {
	if !l.here && l.inFlight == 0 {
		delete(b.loads, l.id)
	}
}

// Acquire returns the member to which to send a request for key, and counts it
// as in flight there until release is called, which must be done once; more calls
// do nothing. It never waits. Without members it returns the empty string, and a
// release that does nothing.
func (b *Balancer) Acquire(key string) (member string, release func()) {
	l := b.pick(xxhash.Sum64String(key))
	if l == nil {
		return "", func() {}
	}
	var done atomic.Bool
	return l.id, func() {
		if !done.Swap(true) {
			b.release(l)
		}
	}
}

func (b *Balancer) pick(hash uint64) *load {
	b.mu.Lock()
	defer b.mu.Unlock()
	var few [16]neighbour
	near := few[:0]
	for n := 4; ; n *= 8 {
		r := b.ring
		if len(r.members) == 0 {
			return nil
		}
		slot := int(hash >> r.shift)
		if l := b.take(int(r.owner[slot])); l != nil {
			return l
		}
		// To look for others takes time, in which the others need not wait. They
		// may change everything meanwhile, so all is looked at again.
		b.mu.Unlock()
		near = r.nearest(near[:0], slot, n, false)
		b.mu.Lock()
		if b.ring != r {
			n = 1 // 8 in the next turn
			continue
		}
		for _, m := range near {
			if l := b.take(m.member); l != nil {
				return l
			}
		}
		// Not all are full: the bounds add up to more than there is in flight.
	}
}

// take counts one more request at a member, unless that is above its bound: the
// factor times its part of what is in flight with this one, rounded up.
func (b *Balancer) take(i int) *load {
	l, r := b.here[i], b.ring
	// Whole numbers up to 128 bits: rounding could leave no place for anybody.
	ah, al := bits.Mul64(uint64(l.inFlight), r.weight*million)
	bh, bl := bits.Mul64(uint64(b.total+1), r.weights[i]*b.factor)
	if ah > bh || ah == bh && al >= bl {
		return nil
	}
	l.inFlight++
	b.total++
	return l
}

func (b *Balancer) release(l *load) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.inFlight--
	if l.here {
		b.total--
	}
	b.forget(l)
}

// InFlight returns how many requests a member has in flight, be it still in the
// ring or not.
func (b *Balancer) InFlight(member string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.loads[member]; l != nil {
		return l.inFlight
	}
	return 0
}

// Ring returns the ring that is in use.
func (b *Balancer) Ring() *Ring {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ring
}
