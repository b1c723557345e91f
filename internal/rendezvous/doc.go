// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package rendezvous is weighted rendezvous hashing in whole numbers (Thaler and
// Ravishankar 1998; the logarithmic weighting is Schindelhauer and Schomaker's
// of 2005).
//
// Each pair of a key and a member has a hash, read as a number u between 0 and
// 1. The member with the smallest distance -log(u), divided by its weight, wins
// the key. A member wins a part of all keys that is its weight's part of all
// weights, and a change of members changes the winner only of keys whose winner
// has gone or is new.
//
// No floating point is used, so no two machines round differently.
package rendezvous
