// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package session keeps one lease per process on a backend, and says from
// moment to moment whether it can still be trusted. Locks, terms and everything
// else that a process holds hang on it.
//
//	s, err := session.Open(ctx, etcd.New(client), nil)
//	...
//	defer s.Close()
//
// # What is guaranteed
//
//   - Trust ends before the lease can. It lasts from the grant until the send
//     time of the last acknowledged renewal, plus the TTL, less a margin. Then
//     everything that hangs on the session is cancelled, with the cause.
//   - Check is right at the moment of use, also after the process was paused
//     or the machine suspended, before any timer has fired.
//   - A lost session comes back by itself, with a new lease: its next
//     Incarnation. Nothing carries over, and a lost one never comes back.
//   - Close is in order: contexts end, work returns, and only then the lease is
//     given back. Work that does not return keeps its places and is named.
//   - No outcome is guessed. A write whose answer was lost is settled before
//     anybody is told anything, or deleted in the background (see Commit).
//   - Whatever number of places hang on it: one lease, one renewal per third
//     of the TTL, one watch, and a constant number of goroutines.
//
// # What is not guaranteed
//
//   - A context is cancelled by a timer, and timers are late in a process that
//     was paused. The time between a Check and what follows it cannot be
//     guarded by any clock. Only a resource that checks tokens is safe.
//   - The snapshot of a virtual machine that is resumed later cannot be seen by
//     any clock inside it. The first renewal after it tells.
//   - Clocks may run at different rates by less than the margin (see
//     Options.Margin). Their time of day is never used.
//   - Whoever deletes the session's keys or revokes its lease by hand overrides
//     all of this.
//
// # States
//
//	         renewal overdue          trust over, lease ended, or LetGo
//	Active ------------------> Jeopardy ---------------------> Lost
//	  ^  ^                        |                             |
//	  |  +---- acknowledged ------+                             |
//	  +------------------- new incarnation ---------------------+
//
//	any of them -- Close, or the end of an adopted lease --> Closed
//
// # Failures
//
//	what happens                       what the session does
//	a renewal fails or is slow         tries again, elsewhere if it can; Jeopardy at half the TTL
//	backend away until trust ends      Lost; opens a new lease when it is back
//	lease revoked or expired           Lost when its inbox goes; opens a new one
//	adopted lease ends                 Closed for good, Err tells
//	process stopped, then woken        Check fails at once, contexts end a moment later
//	program says that it is unhealthy  no renewals: Jeopardy, then Lost, until it is well again
//	answer of a write lost             settles it: rewrites its key, then looks
//	permission denied on opening       Open fails; a running session is Closed
//	right withdrawn                    Lost within a TTL, with that cause, unless it is back by
//	                                   then; Closed for good at the next opening, so watch Done
//	backend away at Close              error after CloseTimeout; the lease ends by itself
//
// # What is stored
//
// Below Options.Prefix, all on the lease: session/<id> with who and where the
// process is, as JSON; inbox/<id> with requests from others to it.
package session
