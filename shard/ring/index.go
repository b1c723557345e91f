// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Index returns a number from 0 to n-1 for a key, each with the same chance. It
// panics if n is below 1.
//
// The same key and n give the same number in every version, on every machine:
// data may be laid out by it. Another n gives most keys another number.
func Index(key string, n int) int { return scale(xxhash.Sum64String(key), n) }

// IndexBytes is Index(string(key), n).
func IndexBytes(key []byte, n int) int { return scale(xxhash.Sum64(key), n) }

// scale maps a hash to a number below n by a multiplication (Lemire 2019), not by
// a remainder: it needs no division, and it keeps the order, so that where one n
// divides another each part of the smaller one is a run of parts of the larger.
func scale(hash uint64, n int) int {
	if n < 1 {
		panic(fmt.Sprintf("ring: Index: n is %d, must be at least 1", n))
	}
	hi, _ := bits.Mul64(hash, uint64(n))
	return int(hi)
}
