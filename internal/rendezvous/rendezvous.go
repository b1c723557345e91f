// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package rendezvous

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood 2014).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// Mix returns the hash of two hashes, of which neither can be told from it. It
// is not the same for (a, b) and (b, a).
func Mix(a, b uint64) uint64 { return mix(a + (b+1)*0x9e3779b97f4a7c15) }

// Member returns the hash of a member's id.
func Member(id string) uint64 { return xxhash.Sum64String(id) }

// Pair returns the hash of a key's hash and a member's.
func Pair(key, member uint64) uint64 { return mix(key ^ member) }

// Distance returns how far apart a pair is: -log2(pair / 1<<64) times 1<<32,
// which is below 1<<39. It is off by less than a part in 1000, and 2.
func Distance(pair uint64) uint64 {
	pair |= 1 // not zero
	zeros := bits.LeadingZeros64(pair)
	pair <<= uint(zeros) // from 1 to 2, times 1<<63
	pair &= 1<<63 - 1    // the part behind the point
	i := pair >> (63 - logBits)
	rest := pair << (1 + logBits) >> 32
	at := logs[i] + (logs[i+1]-logs[i])*rest>>32 // a straight line between two points
	return uint64(zeros+1)<<32 - at
}

// AtLeast is not above Distance, and quicker: -log2(u) > 1-u.
func AtLeast(pair uint64) uint64 { return ^pair >> 32 }

// Nearer says whether distance a of somebody with weight wa is less than b of
// somebody with weight wb. Weights must be from 1 to 1<<20.
func Nearer(a, wa, b, wb uint64) bool { return a*wb < b*wa }

// Far is a distance that is above all others at any weight.
const Far = 1 << 43

const logBits = 8

// logs holds log2(1 + i/256) times 1<<32.
var logs = func() (t [1<<logBits + 1]uint64) {
	for i := range t {
		t[i] = log2Fraction(uint64(1<<logBits+i) << (62 - logBits))
	}
	return t
}()

// log2Fraction returns log2(x) times 1<<32 of x, a number from 1 to 2 times 1<<62,
// digit by digit: squaring a number doubles its logarithm.
func log2Fraction(x uint64) (log uint64) {
	if x == 2<<62 {
		return 1 << 32
	}
	for bit := uint64(1 << 31); bit > 0; bit >>= 1 {
		hi, lo := bits.Mul64(x, x)
		x = hi<<2 | lo>>62 // times 1<<62 again; from 1 to 4
		if x >= 2<<62 {
			log |= bit
			x >>= 1
		}
	}
	return log
}
