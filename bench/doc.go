// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Command bench races Quorate against its peers' own code on a real etcd, and
// against what that etcd can do at best on this machine.
//
//	go -C bench run .                      the table, in two minutes
//	go -C bench run . -o table.md          and as Markdown
//	go -C bench run . -rows loop -runs 9   some rows, more runs
//	go -C bench run . -etcd http://host:2379
//
// Without -etcd it starts an etcd of one member as a child process, with etcd's
// default timers and its data in memory where the system has a /dev/shm, so
// that the disk does not drown the differences. The child ends with its parent.
//
// # What the figures are
//
// Absolute times tell about the machine, so budgets are ratios within one run.
// A run measures a row's limit, Quorate and the peer one after the other, and
// runs follow each other, so that a change of the machine's mood hits all of
// them. The ratios of a run are taken first; a cell is then the median of all
// runs, followed in brackets by the middle half of them, which is the spread.
//
// The limit is the least that the backend can do for the row: two bare commits
// for a free Lock and Unlock; for a hand-over, one bare commit until a watcher
// of another client sees it.
//
// # Verdicts
//
//	met                the whole spread is within the budget
//	met within noise   the budget is within the spread
//	not met            the whole spread is beyond the budget
//	too few runs       fewer than 5: no verdict
//
// # What is not guaranteed
//
// The figures hold for the machine in the head of the table while it had the
// load given there. The server and all sessions share its processors. Nothing
// is measured through a network, on a disk, or on more than one member.
//
// # Failures
//
//	what happens                        what it does
//	the server does not start, or ends  stops with the error and its last words
//	two holders at the same time        stops with the error: a fast lock that does not lock
//	no acquisition in a whole run       stops with the error
//	interrupted                         stops, ends the server, removes its data
//	a budget is not met                 prints the table; exit status 0
package main
