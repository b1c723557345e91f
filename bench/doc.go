// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Command bench races Quorate against its peers' own code on a real etcd and a
// real Consul, and against what these can do at best on this machine.
//
//	go -C bench run .                        the tables, in four minutes
//	go -C bench run . -o tables.md           and as Markdown
//	go -C bench run . -rows consul           one backend
//	go -C bench run . -rows loop -runs 9     some rows, more runs
//	go -C bench run . -etcd http://host:2379 -consul http://host:8500
//
// Without -etcd it starts an etcd of one member as a child process, with etcd's
// default timers, and without -consul a Consul of one server, which is the one
// that the tests use (QUORATE_CONSUL, or `consul` on the PATH, or else it is
// built, which takes minutes, once). Their data is in memory where the system has
// a /dev/shm, so that the disk does not drown the differences. They end with
// their parent. A Consul of yours needs a limits.http_max_conns_per_client above
// its default of 200: all sessions here come from one address.
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
//	free        Lock and Unlock of a lock that nobody else wants
//	loop/N      N sessions lock and unlock as fast as they can, per acquisition
//	handover/N  from a call of Unlock until the Lock of one of N that wait returns;
//	            at rest: nobody else comes or goes
//
// A lock that gives itself to the same session again and again is fast in a
// loop. How often it does not stands beside it, as fairness and turns.
//
// The peers are concurrency.Mutex, with a session for each contender, and
// api.Lock as its users have it, which makes a session for each acquisition. Its
// lock delay is off.
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
// The figures hold for the machine in the head of the tables while it had the
// load given there. The server and all sessions share its processors. Nothing
// is measured through a network, on a disk, or on more than one member.
//
// # Failures
//
//	what happens                        what it does
//	the server does not start, or ends  stops with the error and its last words
//	two holders at the same time        stops with the error: a fast lock that does not lock
//	no acquisition in a whole run       stops with the error
//	interrupted                         stops, ends the servers, removes their data
//	killed                              the servers end; up to two minutes later so do our
//	                                    leases on yours, where one catalog node stays
//	a budget is not met                 prints the tables; exit status 0
package main
