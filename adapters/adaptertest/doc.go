// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package adaptertest tells whether an [adapters.Store] keeps the contract, and
// makes one fail in the ways that networks fail.
//
// # The suite
//
// [Run] checks a Store against every rule of the contract, each rule in a
// subtest with a fresh [Backend]; a failure prints first what the rule protects.
//
//	func TestContract(t *testing.T) {
//		adaptertest.Run(t, func(t *testing.T) adaptertest.Backend {
//			return adaptertest.Backend{Store: ..., Calls: ...}
//		})
//	}
//
// Rules are black boxes: they see a Store, a clock and the number of requests
// that it sent. On a healthy backend they are sound, however slow the machine:
// bounds from below are measured from before a request was sent, bounds from
// above have slack. One thing they assume: that the machine does not stand
// still for most of a short TTL.
//
// Every rule has been seen to fail on a store that breaks it on purpose; the
// tests of this package do that again each time they run.
//
// # The suite does not show
//
//   - What a Store does while its backend is down, hung or cut off. That needs
//     a hand on the backend, which a Store does not offer.
//   - ErrDenied, for the same reason.
//   - Linearizability in general: rules look at the histories that broke real
//     adapters, not at all histories.
//
// # Faults
//
// [Wrap] puts a misbehaving network before a Store: requests and answers that
// are slow or lost, writes that are applied after their caller gave up and read
// again, partitions of both ways or one. It is for tests of what is built on a
// Store, Quorate's own and those of its users.
//
//	state of the way     request      answer       Commit returns
//	whole                applied      arrives      its result
//	context ends before  dropped, or  -            ErrUnknown and the cause
//	it is there          with Late
//	                     applied
//	Partition(true, ...) dropped      -            ErrUnknown and the cause,
//	                                               once the context ends
//	Partition(false,     applied      dropped      the same
//	true)
//	Fault.Lose           applied      dropped      ErrUnknown and ErrLost, at once
//	Fault.Err            not applied  -            that error
package adaptertest
