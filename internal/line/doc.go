// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package line is the fair queue of leased keys that locks and elections share.
//
// A contender is one leased key, its slot: a direct child of the line's
// directory. At every revision of the store the owner is the slot with the
// smallest Created, and nothing else decides (rule R3): not the key's name, not
// its value, not what anybody saw happen. That is also what plain
// concurrency.Mutex and concurrency.Election of etcd and "etcdctl lock" and
// "etcdctl elect" go by, so they can stand in the same line.
//
// # How a place is taken
//
// One transaction creates the slot and reads the directory. If no older slot
// is there, the place is taken, after one round trip. Otherwise the contender
// watches exactly one key, the slot just ahead of it. When that has gone, one
// question settles it: is my slot there, and are all those gone that I saw
// ahead of me? The neighbour may not have been the owner, but have given up or
// died in the middle of the queue; then the contender reads the queue anew. What
// is ahead of a slot only ever shrinks, so once first it stays first.
//
// Its own slot is always part of that question. A slot whose lease ended or
// that somebody deleted while it waited does not own anything.
//
// A verbatim line is that of the backend's own recipes. On Consul these have no
// queue but one lock key, see lockkey.go; there, the guarantee of order is off.
//
// # Guarantees
//
//   - Order: slots own in the order in which they were created.
//   - A contender that gives up leaves no slot. If the store does not answer,
//     its slot is deleted in the background, and at the latest with its lease.
//   - Tokens of a line strictly increase from owner to owner.
//   - A slot that is held costs nothing: no watch, no timer, no goroutine.
//
// # Failures
//
//	what happens                      what a contender or owner sees
//	session lost while waiting        session.ErrLost, at once
//	session lost while owning         the slot's context ends with session.ErrLost
//	context over while waiting        its cause; the slot is gone
//	own slot deleted while waiting    it queues again, at the end
//	own slot deleted while owning     nothing: whoever deletes keys overrides us
//	foreign slot with unknown value   it is a contender like any other
package line
