// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package adapters defines [Store], the one contract between Quorate's
// primitives and a backend.
//
// Applications use the packages above it: they call one constructor of a
// sub-package (adapters/etcd, adapters/embedded, adapters/memory), hand the
// Store to session.Open and forget it. Only people who add a backend read on;
// package adapters/adaptertest then tells them whether they got it right.
//
// # What a Store is
//
// A linearizable space of keys with leases, as small as etcd and Consul can
// both fulfil it exactly. Everything that only one of them has is left out:
//
//   - Watches carry states, not events. Consul knows nothing else, and etcd's
//     compaction forces a second read anyway. A primitive therefore decides
//     from what is true now, never from what it saw happen.
//   - Transactions have no else branch: Consul answers a failed transaction
//     without reads. A conflict means one more Read.
//   - Conditions compare a key with absence, with one Mod revision or with one
//     lease. Created cannot be compared: Consul has no check for it.
//   - Revisions can be compared between keys as Created and Mod. The revision
//     of a View may be missing and must not be used to drop one.
//
// # What it guarantees
//
//   - Read and Commit are linearizable. Created and Mod strictly increase with
//     every write to the store, also across deletes of the same key.
//   - When a lease ends, its keys vanish with it in one step.
//   - A lease ends no sooner than its granted TTL after the last Renew was
//     received, unless [Limits.EarlyEnd] says that the backend may do so.
//   - Commit never leaves the caller to guess without saying so: [ErrUnknown]
//     marks the one outcome that has to be settled; every other error means
//     that nothing was written and nothing will be.
//
// # What it does not guarantee
//
//   - A write with an unknown outcome may be applied later than a linearizable
//     read that did not see it. Package session settles this (its rule R2).
//   - Upkeep of a lease, clocks, deadlines and retries are the session's work,
//     not the adapter's. Watch alone retries inside, since a reader has no
//     outcome to lose.
//
// # Failures
//
//	what happens                        what a Store does
//	condition does not hold             ErrConflict, nothing written
//	lease of an op has ended            ErrLeaseLost, nothing written
//	request may have reached a server   ErrUnknown, joined with the cause
//	context over before the request     the context's cause, nothing written
//	key, value or Tx over a limit       ErrInvalid before any call
//	credentials lack a right            ErrDenied, final
//	watch connection lost, compaction   reads again and goes on; the views in
//	                                    between are coalesced
package adapters
