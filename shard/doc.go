// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package shard shares a fixed number of shards out among the members of a
// group, one owner for each, and moves them when members come and go.
//
//	g, err := shard.New(s, "orders", 256, &shard.Options{Member: podName})
//	...
//	err = g.Run(ctx, func(ctx context.Context, s shard.Shard) error {
//		return consume(ctx, s.Number, s.Token) // ctx ends before anybody else can own it
//	})
//
// A router that is no member looks up who to ask:
//
//	for table, err := range g.Tables(ctx) { ... table.Route(key) ... }
//
// For keys that nobody has to own, package ring is simpler.
//
// # What is guaranteed
//
//   - One owner: while Shard.Check returns nil, nobody else owns the shard. The
//     context of its work ends before anybody else can.
//   - A shard is given away only when its work has returned (but see DrainPolicy).
//   - Tokens of a shard strictly increase from owner to owner.
//   - No plan moves more shards than it has to, and everybody has his share, rounded
//     up or down; package planner says exactly what that is.
//   - In a planned move nobody waits for anybody but the shard's two members: the
//     new owner warms up while the old one works, and the gap between their work is one
//     transaction and one notification.
//   - A member that comes back after a loss takes part again by itself.
//
// # What is not guaranteed
//
// The table is a plan. It is ahead of the facts while shards move, and behind them
// when it is read; a router may ask the wrong member, who has to know better (see
// Table.Next). What package mutex says of paused processes, rebuilt clusters and keys
// that are deleted by hand holds here too: only a resource that checks tokens
// is safe from a process that was paused past its lease.
//
// The number of shards of a group is fixed when it is used first. Choose some ten
// per member that there may ever be; Destroy, with no member left, is the only way
// to another number.
//
// # How
//
// Plan and ownership are two things. The plan is advice, written by whichever
// member stands first in a queue. Ownership is one durable key per shard, the claim,
// which names one life of one member (the Created of its leased member key) and is
// moved by compare and swap alone. So with two planners, with a stale one, or with
// none, shards are spread unevenly at worst. The scheme follows what Kafka's
// group protocol (KIP-848) and Slicer's assigner separate: target and current assignment.
//
//	who                 writes                     if
//	planner             the head: diff, epoch      its slot in the queue and the head are unchanged
//	new owner           a claim                    nobody has had it, or its member key has gone
//	old owner           the claim over, and a      the claim is its own, and the new owner's
//	                    note to the new owner      member key is unchanged
//
// Whoever writes does so under the fence of its session, as everything here.
//
// # Keys
//
// Below <prefix>/shard/<group>/. Those on a lease go with their member; the others stay
// until Destroy. What package session says of inboxes is another matter.
//
//	head            number of shards, epoch, the last diff         binary, version 1
//	diff/<epoch>    older diffs since the base                     binary, version 1
//	base/<name>/<n> a whole table, in pieces of 128 KB             binary, version 1
//	claim/<shard>   member, life, epoch: its Mod is the token      JSON
//	member/<id>     what the member says of itself, on its lease   JSON
//	in/<id>/<n>     notes to a member, deleted when read           JSON
//	pins            shards tied to members                         JSON
//
// and <prefix>/shard-planner/<group>/, the queue of planners, on leases.
//
// # What it costs
//
// With S shards and N members:
//
//   - A member has three watches: the head, its inbox, its neighbour in the
//     planners' queue. The planner watches the members and the pins besides.
//     Shards that stay cost nothing.
//   - A change of the members is one write of the head, which reaches every
//     member: about two bytes for each shard that moves, and its cause.
//   - A shard that moves is one claim. Claims are written some 60 at a time, so a
//     join costs a write per donor, a crash a read and a write per heir.
//   - A diff of more than 16 KB is not sent to all; a base is written that
//     every member reads once. 65,536 shards of 1,000 members are 82 KB and the names.
//
// # States of a shard in a member
//
//	        planned for us            claimed: nobody has it, or who had it is gone
//	none ------------------> expected ----------------------------------> ours <-+
//	                          |      \ handed over by who has it          /  |   | planned for us again,
//	                          |       +--------- Prepare --------------->+   |   | or the receiver is gone
//	                          +-> none   called off                          v   |
//	                                                    planned for others: draining
//	                                                                         |
//	                                            handed over: none <----------+-> lost with the session: none
//
// # Failures
//
//	what happens                    owner                       the group
//	backend away, within the TTL    works on                    plans and moves wait
//	backend away, longer            contexts end: ErrLost       as after a crash, for all
//	member killed                   -                           others take its shards when the lease ends
//	member stopped and woken        Check fails at once         likewise
//	member leaves                   works until its shards      they move one by one
//	                                have moved
//	planner killed                  works on                    the next in the queue plans; moves go on
//	work does not return            the shard stays, reported   see DrainPolicy
//	receiver dies in a move         works on, or again          the next plan gives the shard elsewhere
//	many members vanish at once     works on                    their shards wait: see Options.Brake
//	member restarts, same name      -                           has its shards back within Options.Grace
package shard
