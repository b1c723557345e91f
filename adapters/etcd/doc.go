// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package etcd is the adapter for an etcd cluster that the user runs.
//
//	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints})
//	store, err := etcd.New(client, nil)
//	sess, err := session.Open(ctx, store, nil)
//
// It is tested with etcd 3.7.3. Older servers should be at 3.6.5, 3.5.23 or
// 3.4.38 at least: before, a renewal could be answered with success although
// the lease had been revoked (etcd pull request 20615). The client stays the
// user's; the Store never closes it. A Store has no Close: it keeps nothing
// open while nobody watches.
//
// # What it guarantees
//
//   - All of package adapters' contract. Read and Commit are linearizable,
//     Created and Mod are etcd's create and mod revisions.
//   - A Commit is one call, and it is sent at most once. The etcd client
//     repeats a transaction when the answer is Canceled or DeadlineExceeded
//     while the caller's context is alive, as behind a proxy with a deadline
//     of its own; a success would then be reported as a conflict. Here it is
//     ErrUnknown.
//   - Renew is one message and its answer, each time on the next member. So
//     renewals with a deadline of their own leave a member that hangs.
//   - All watches of a Store share one gRPC stream on the client's connections,
//     with one goroutine that proves the stream: see below.
//   - Leases print as in etcdctl and package concurrency: hexadecimal.
//
// # How a watch works
//
// It starts to watch from now, waits until the server has the watch, reads, and
// then applies each event that is newer than what it read. Views are built from
// events; a change costs no further read.
//
//	opening --created--> reading --view--> following --event--> following
//	   ^                    |                  |
//	   +------ pause -------+---- any error ---+       ctx over, reader gone,
//	                                                   denied, client closed: end
//
// After an error it pauses (10 ms, doubling to 1 s, with jitter), opens again
// and reads again. That read is linearizable, so nothing older than before is
// ever shown.
//
// A silent stream may be dead: a member that hangs and a link that swallows
// packets cause no error. So when a stream with readers waiting for it has been
// silent for Options.ProbeEvery, it is asked for its progress, with one message
// for all watches. If a third of ProbeEvery later no answer has come, or one
// that is older than what this process had seen half a such third before
// asking, all watches move to a new stream, which the client's balancer places
// on the next member. A new watch and a read that get no answer in that time
// move on too. The time doubles, up to 32 s, from one try without any answer to
// the next, so that a cluster that is only slow gets its chance to answer.
//
// # What it does not guarantee
//
//   - A lease can end early. An etcd leader whose process was frozen for longer
//     than a TTL (SIGSTOP, a suspended machine) may, when it wakes, have all
//     leases revoked that look expired to it, although its successor has
//     renewed them: seen in 1 of 6 trials with etcd 3.7.3 alone. Limits says so
//     with EarlyEnd. Members that were killed, cut off or slow did not do that.
//   - It does not see namespaces: New refuses a client whose KV or Watcher was
//     wrapped.
//   - Between a freeze of its member and its first view from another one, a
//     watch is late by up to about twice ProbeEvery, and longer if more members
//     than one hang or etcd has no leader meanwhile.
//   - Limits describes an etcd with default settings. One with a lower
//     --max-request-bytes or --max-txn-ops answers with an error of its own,
//     and nothing is written. Messages over a limit of gRPC's, such as a
//     MaxCallSendMsgSize below 1.5 MiB, end as ErrUnknown.
//   - Revisions start again when a cluster is restored without a revision bump.
//   - With password authentication, each Renew and each new watch stream makes
//     the client log in again, which etcd answers with a password hash and a
//     raft entry. Certificates or a token avoid that.
//
// # Failures
//
//	what happens                          what the Store does
//	no member reachable, black hole       calls end with their context; watches wait
//	member hangs                          Read and Watch go to the next one;
//	                                      Commit ends with its context: ErrUnknown
//	member is cut off from the leader     Renew fails at once; watches move when
//	                                      the member has noticed (3 elections)
//	member lags (disk stuck)              watches move to another one
//	frozen leader wakes as a follower     leases may end early: ErrLeaseLost
//	etcd elects a leader                  calls wait; ErrUnknown if it cut them off
//	compaction during an outage           watches read again
//	lease expired or revoked              ErrLeaseLost; Revoke returns nil
//	right is missing                      ErrDenied, also as the end of a watch
//	password client's token expired       the client logs in again; watches move
//	fixed token expired, no user          ErrDenied
//	"database space exceeded"             ErrUnknown: etcd also says so after a
//	                                      write that it has applied
//	client closed                         ErrClosed
package etcd
