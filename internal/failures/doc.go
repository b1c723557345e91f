// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package failures holds tests only: how locks on etcd and Consul are known to
// fail in the field, each way made to happen on real servers, to ours and to
// the locks that the backends' own clients bring.
//
//	go test ./internal/failures                                       three rounds of most, two minutes
//	QUORATE_LONG=1 go test -timeout 40m ./internal/failures           four times as many
//	go test -count=1 ./internal/failures -args -table ../../docs/known-failures.md   also writes the table
//
// # How it is measured
//
// A trial is one scenario tried on one kind of lock. Its parties have clients,
// sessions and links (toxiproxy) of their own; those that are stopped or killed
// are processes of their own. Whoever gets the lock asks every millisecond
// whether it still has it, and after each yes writes to one guarded resource.
//
//   - Overlap: from when the next holder's Lock returned until the old one asked
//     for the last time whether it still held the lock, and was told yes. The
//     time of asking counts, not that of the answer, so a question that a pause
//     cut in two is as old as it is.
//   - Stale write: one that the resource took from an earlier holder after one
//     from a later holder. The resource refuses a token that is smaller than one
//     it has seen; a lock that hands out no token writes without.
//   - Keys left: below the lock's name when everybody who had it has given it
//     back, every link is whole again, and every lease of the dead has ended. Of
//     ours also all others, when the sessions are closed.
//   - Wait: from the moment that should have ended a wait until it ended.
//
// All times are of one clock, CLOCK_BOOTTIME on Linux, in all processes.
//
// # What must come out
//
// Ours: no overlap, no stale write, no key left, and every wait ends within a
// second of what should have ended it. The same measurements must convict each
// peer where it is known to fail without chance being involved, so that a
// suite that sees nothing fails.
package failures
