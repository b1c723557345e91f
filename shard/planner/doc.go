// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package planner decides which member of a group should own which shard. It
// is arithmetic alone: no store, no clock, no randomness. Equal inputs give
// equal plans on every node and every architecture (no floating point decides
// anything), so a plan can be made anywhere, compared, and tried dry.
//
//	plan, err := planner.Make(planner.Input{Shards: 4096, Prev: table, Members: members})
//
// # What it guarantees
//
//   - Balance. Each member's share is Shards × its weight ÷ all weights; it gets
//     that, rounded down or up, and so does each zone as a whole. Capacities,
//     pins, a roll-out and loads bend the shares; then they are what is left of
//     evenness, and [Plan.Explain] says so.
//   - Room. Each shard has an owner as long as capacities allow it. If they do not,
//     as many as possible have one, and none is taken from its owner for another
//     that has none.
//   - Minimal movement. Given those shares, no plan moves fewer shards:
//     orphans, plus what members have above their share, and nothing else.
//     [Plan.Minimum] is that number.
//   - Nothing else moves. A shard whose owner is still there and has no more
//     than its share stays, unless it is pinned elsewhere or moves for its load.
//   - Rest. A plan made from the table of the plan before, with all else equal,
//     moves nothing; but for what MaxMoves and LoadMoves left for later, after
//     which there is rest, too.
//
// # What it does not
//
// A plan says who should own a shard, not who does: claims decide that, in package
// shard. Shards count as equally heavy unless Input.Load says otherwise, and then
// the counts are no longer even, only the loads are, as far as the budget for
// moves allows. A shard that is hotter than a whole member can carry stays hot.
//
// # How
//
// Shares with limits are found by filling all members to one level and fixing
// those that hit a limit (pins below, capacities above), until nobody does. Their
// fractions are rounded so that the sums of the zones and of the whole are
// rounded too, and so that whoever holds the larger number already keeps it. The
// least movement follows from arithmetic: with the numbers fixed, a member must
// give what it has above its own, and needs to give nothing more.
//
// Which of its shards a member gives, and who of those with room gets one, is
// decided by weighted rendezvous hashing (Thaler and Ravishankar 1998; the
// logarithmic weighting is Schindelhauer and Schomaker's of 2005): a shard that
// has to go somewhere tends to go to the same place in every plan.
//
// Moves for the sake of load go from the hottest member to the coldest, one
// shard at a time, as long as that makes the hotter of the two less hot: what
// Slicer (Adya et al., OSDI 2016) and its successors call weighted moves. They
// begin when a member is hotter than the average by one bound and end below
// another, so that a plan does not answer each flicker. No shard goes back to whom
// it has just left, and roll-outs and moves for balance come first.
package planner
