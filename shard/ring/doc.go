// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package ring routes keys to members of a group by consistent hashing: caches,
// sticky load balancing, the replicas of an object. Whoever knows the members
// knows where a key goes, without asking anybody; and when the members change,
// hardly any key goes elsewhere.
//
//	r, err := ring.New([]ring.Member{{ID: "a"}, {ID: "b"}, {ID: "c", Weight: 200}}, nil)
//	member := r.Get("user/7")
//
// # What it guarantees
//
//   - One answer. Rings of the same members, weights and Options agree on every
//     key, whatever the order of the members, on every machine and in every
//     version: no floating point decides anything, and tests pin the answers.
//   - Minimal movement. When members change, only those keys change their
//     member whose member has left, has become lighter, or is nearer by being new
//     or heavier. So of n equal members one that leaves or joins moves about a
//     part in n of the keys, and no key moves between two that stay as they are.
//   - The next one is known. The second of [Ring.GetN] is who gets the key if the
//     first leaves, and so on: a copy kept there is where it will be looked for.
//   - Speed. [Ring.Get] takes a hash of the key and two reads from tables,
//     however many members there are, and allocates nothing. A Ring never changes
//     and takes no locks.
//   - Bounds, by [Balancer]. No member is given a request that would take it
//     above ceil(Factor × its share of what is in flight, this one included),
//     however hot a key is; a key that does not fit goes to its next nearest
//     member that has room, and there always is one.
//
// # What it does not
//
// It says where to send a key, not whose the key is. Two processes that see
// different members send a key to two of them, and neither is wrong. If a key, or
// what is done for it, must have one owner at a time, use package shard: there
// claims in the store decide, a token fences off who lost his, and the plan is
// even to ±1, which hashing cannot be. [Index] says which shard a key is in.
//
// A member's part of the keys is even only in the mean, as if each slot were
// drawn by lot. How much the fullest of n equal members has above the average
// is about √(2 ln n × n ÷ Slots), and as many keys have to be there for that to
// be seen:
//
//	Slots              memory    10 members    100    1,000
//	1<<16              128 KiB   2.7 %         12 %   46 %
//	1<<18 (default)    512 KiB   1.3 %         6 %    23 %
//	1<<20              2 MiB     0.7 %         3 %    11 %
//
// The number of slots is not chosen by the number of members: with another
// number nearly all keys have another owner, so it would move everything on the
// day when the one member too many joins. It is part of what all who route the
// same keys must agree on, like the hash; choose it for the group as large as it
// will ever be. [Ring.With] keeps it.
//
// Keys count as equally hot. A key that is hotter than a member can carry needs a
// Balancer, which sends a part of it elsewhere. The bound holds at the moment a
// request is given: when others end, who has long ones may be above it, and gets
// nothing until it is below again. A Balancer knows only its own requests; several
// side by side each keep their own bounds, and so the sum of them, rounded up once
// for each. It also does not know which members are well: leave out those that are not.
//
// The hash is not secret. Who may choose keys may choose them all for one member;
// a Balancer bounds what that does.
//
// # Failures
//
//	what happens                    what follows
//	no members                      Get and Acquire return the empty string, GetN nothing
//	two routers see other members   they differ on the keys of who is in one view only
//	two routers have other Slots    they differ on nearly all keys
//	a bad member or option          New and With return an error; the old Ring still works
//	release is never called         the request counts for ever: that member gets less
//
// # How
//
// The first bits of a key's hash (xxHash64) are its slot. Of each slot all
// members have a distance, by weighted rendezvous hashing (Thaler and
// Ravishankar 1998; Schindelhauer and Schomaker 2005), and the owner is the
// nearest. It is worked out once, in New, so that a lookup is not a loop over the
// members; With works it out anew only where a change can have changed it.
//
// Why not the others: a ring of points (Karger et al. 1997) needs thousands of
// them for each member to be as even, and a search for each lookup. Maglev's
// table (Eisenbud et al. 2016) is more even, but moves keys between members that
// stay: at 1,000 members six times as many as need be. Jump hashing (Lamping and
// Veach 2014) knows no names, so that only the last member can leave. Anchor, Dx
// and Memento depend on the order of the changes so far, on which all would have
// to agree. Drawing each member's arrivals in order of time, in blocks of 64 slots,
// gives the same law, and was tried: New takes a third of the time at 1,000 members,
// but to find the next nearest takes five times as long, and With has no short cut.
//
// Bounded loads are those of Mirrokni, Thorup and Zadimoghaddam, Consistent Hashing
// with Bounded Loads (2016), with weights, and with the key's next nearest member
// in place of the next on a circle, so that what a full member cannot take is
// spread over all others and not heaped on one.
package ring
