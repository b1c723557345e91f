// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package election chooses one leader among processes.
//
//	e, err := election.New(s, "cron/report", &election.Options{Value: myAddress})
//	...
//	err = e.Lead(ctx, func(ctx context.Context, term *election.Term) error {
//		return runSchedule(ctx, term.Token()) // ctx ends before anybody else can lead
//	})
//
// # What is guaranteed
//
//   - One leader: while Term.Check returns nil, nobody else leads.
//   - The context of a term ends before anybody else can lead: at a loss by
//     the session's margin, at a resignation by waiting for the work.
//   - Tokens of a name strictly increase from term to term.
//   - Candidates lead in the order in which they came.
//   - Lead goes on after a loss: it campaigns again by itself.
//   - Observe tells the latest leader or that there is none, never goes back
//     to an earlier one, and never ends without an error. It may skip terms
//     that were over before it looked.
//
// # What is not guaranteed
//
// What package mutex says of paused processes, rebuilt clusters, deleted keys
// and backends that end leases early holds here too: a leader that was paused past its lease learns it from
// Check at once and from its context a moment later, and only the token
// protects a resource from what it does in between. What Leader and Observe
// tell may be out of date when it is read.
//
// # States of a candidate
//
//	Campaign -> waiting -> leading -> resigned   (Resign, or Lead's function returned)
//	               |          |
//	               |          +--> lost          (session lost; Lead campaigns again)
//	               +-> given up                  (context over, or session.ErrLost)
//
// # Failures
//
//	what happens                    candidate                 leader
//	backend away, within the TTL    waits                     leads on
//	backend away, longer            session.ErrLost           context ends: session.ErrLost
//	context over                    its cause, within 1 s     Lead: told to return, then resigns
//	process killed                  -                         next leads when the lease ends
//	process stopped and woken       session.ErrLost           Check fails at once, context ends
//	session closed                  session.ErrClosed         context ends; Close waits for it
//	function does not return        -                         the place is kept, and reported
package election
