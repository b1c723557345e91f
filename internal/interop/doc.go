// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package interop holds tests only: our locks and elections in one queue with
// those of others.
//
// The others are package concurrency of etcd's own client, which is also what
// etcd's lock and election services and "etcdctl lock" and "etcdctl elect" are
// made of, and versions of this module that store something else in a slot.
//
// # What is tested
//
//   - Mutex and Election with Verbatim beside concurrency.Mutex and
//     concurrency.Election on one key, in every mix: one holder, order of
//     arrival, deaths in the middle of the queue, tries, and four of each
//     fighting for one counter.
//
//   - What one side says of its leader is what the other reads.
//
//   - Escaped names stay out of the way of whoever uses plain keys.
//
//   - Slots with a newer, older, unreadable or empty record are contenders like
//     any other: what a slot says never decides (rule R3).
//
//   - On Consul, the same with one key in the place of a queue, beside api.Lock and
//     "consul lock": who holds, waits, dies, and fights for it.
//
// # What is not
//
//   - What the others get wrong by themselves. Their campaign reports success
//     after its lease has ended in the queue, so no test here has one die there.
//
// Each contender has a client and a session of its own, as in a process of its
// own. The server is a real one, so all is skipped with -short.
package interop
