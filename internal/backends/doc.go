// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package backends holds tests only: session, mutex and election on every
// backend that users have, in real time.
//
// The primitives' own tests run in virtual time on a store that never lags. Here
// the same promises are kept to on real ones: the memory store, an etcd inside
// the process, a single etcd and a single Consul in processes of their own, and
// a cluster of three of each. A further backend is one more line in the table of
// table_test.go.
//
// # What is tested
//
//   - On each backend: the queue of locks, elections, and what a session does
//     when its lease is revoked, when it is cut off, and when it is closed. At
//     the end of each test no key and no goroutine is left.
//   - On each backend whose servers can be hurt: all of them killed or frozen,
//     for shorter and for longer than a lease lasts, and one of three.
//   - On real servers: writes that are applied late, behind the back of whoever
//     gave them up (rule R2), and that the test finds the orphans when the rule
//     is broken on purpose.
//
// # What is not
//
//   - Schedules drawn at random, which are the work of package session's tests.
//   - Timing beyond the promises: no test here measures speed.
//
// Each participant has a client of its own, as processes do. Tests wait for
// states: a neighbour "is not let in early" after it was seen to look again, not
// after a while. Servers are skipped with -short.
package backends
