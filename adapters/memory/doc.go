// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package memory is an [adapters.Store] inside the process: for unit tests of
// Quorate, for the tests of programs that use it, and for trying things out.
//
// It keeps the whole contract, with real revisions, leases that run out and
// watches, so whatever is built on it needs no stand-ins. Time comes from
// package time alone: made and used inside one [testing/synctest] bubble, a
// Store lives in virtual time, and an hour of renewals takes a millisecond.
//
// # Guarantees
//
//   - Everything in the contract, as checked by package adaptertest.
//   - Revisions start at 1 and rise by one with every step that changes
//     something: a commit, or the end of a lease that held keys.
//   - A lease ends exactly [adapters.Limits.Latest] of its granted TTL after
//     its last renewal. TTLs are not rounded, only raised to Limits.MinTTL.
//   - No call ever blocks on anything but a brief mutex, so no outcome is ever
//     unknown. Faults of a network are added with adaptertest.Wrap.
//   - The store owns no goroutine. One timer per lease and whatever the readers
//     of watches do is all that runs; a bubble ends clean when every lease has
//     ended and every watch was left, or after [Store.Close].
//
// # What it does not guarantee
//
//   - Nothing survives the process and nobody outside it sees the keys. It
//     coordinates goroutines, not machines.
//   - It is no model of a backend's speed.
//
// # States of a lease
//
//	Grant -> alive -> ended     by Revoke, by Expire, by its time running out,
//	          ^  |              or by Skip past its deadline
//	          +--+ Renew
//
// # Failures
//
//	what happens             what the Store does
//	Skip(d)                  every deadline comes d closer; leases that are now
//	                         past it end, the earliest first
//	Expire(id)               the lease ends as if its time had run out
//	Close                    leases freeze, watches end with ErrClosed, and so
//	                         does every later call
package memory
