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
//   - Renew is one message and its answer, each time on the next member, and then
//     a read of nothing, which proves that a leader had answered. So renewals
//     with a deadline of their own leave a member that hangs.
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
// After an error it pauses (10 ms, doubling to 0.5 s, with jitter), opens again
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
// # Early ends, and why leases move
//
// An etcd leader whose process was frozen for longer than a TTL (SIGSTOP, a
// suspended machine) may, when it wakes, have all leases revoked that look expired
// to it, although its successor has renewed them: seen in 1 of 6 trials with etcd
// 3.7.3 alone. It can only do that to leases that it knew of. So when an answer
// tells of a new leader, by its term, the Store has another lease granted and moves
// the keys there, all behind the LeaseID that Grant has returned: reads show that
// one, and conditions hold that held before the move. Until it has moved them,
// Renew fails, so that nobody trusts the lease for longer than the old leader does.
// etcdctl shows the lease that the keys hang on now. Keys that others put on the
// lease, or that a bare client does, may be left behind: put them on leases of
// their own.
//
// # Least privilege
//
// With authentication enabled, a user needs one right: to read and write the
// keys below the session's prefix.
//
//	etcdctl role grant-permission ROLE readwrite --prefix quorate/
//
// deploy/etcd/role.sh makes such a role and a user who has it. All keys are
// there: records of sessions, inboxes, queues. It takes both, because each write
// is conditional and a condition reads its key; who only observes has a session
// all the same, and that writes its record. A name that is used verbatim is
// outside and needs the same right for itself, with a slash at its end.
//
// Leases take no right of their own. Any user may grant one; to put a key on it,
// to renew it (etcd 3.7, 3.6.16 and 3.5.33 ask for that, 3.6.8 does not) and to
// revoke it, he must be allowed to write every key that hangs on it. These are
// the session's own, unless the lease was adopted. No right to members, users or
// other leases is needed.
//
// What is denied is final: no call, and no watch, tries again. The error is
// [adapters.ErrDenied] and names the user as far as the client knows him, the
// keys that he needed to read or write, since etcd does not tell which of them it
// was, and the grant that gives the right to all of them:
//
//	etcd: commit "quorate/session/5c1b": permission denied: user "billing" needs
//	readwrite on "quorate/session/5c1b", readwrite on "quorate/inbox/5c1b", write
//	on all other keys that hang on lease 694d9c3f2a1b0c05 (etcdctl role
//	grant-permission ROLE readwrite --prefix quorate/): etcdserver: permission denied
//
// The user is the client's Username or, on servers with --client-cert-auth, the
// common name of its certificate; a password goes before a certificate. Take the
// certificate if you can: there is nothing to log in with, and so nothing that
// expires during a long wait.
//
// # What it does not guarantee
//
//   - A lease that the Store was not asked for, but that is renewed with it, can
//     end early: see above.
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
//   - With password authentication, each new watch stream and the first call
//     after a token has expired make the client log in again, which etcd answers
//     with a password hash and a raft entry. Certificates avoid that.
//   - Rights are checked when a watch is opened and not again: that is etcd's
//     way. One that is open goes on showing changes after the right was
//     withdrawn, until it is opened anew.
//   - A client that was given a fixed token is denied everything once that has
//     expired; a JWT also after any change of users or roles.
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
//	etcd elects a leader                  calls wait; ErrUnknown if it cut them off;
//	                                      keys move to another lease, and no renewal
//	                                      counts before they have
//	frozen leader wakes as a follower     ends leases that have no keys any more
//	compaction during an outage           watches read again
//	lease expired or revoked              ErrLeaseLost; Revoke returns nil
//	right is missing                      ErrDenied, also as the end of a watch
//	right is withdrawn                    ErrDenied from each call and new watch; a
//	                                      session ends when its renewals are denied
//	password client's token expired       the client logs in again; watches move
//	password changed, user deleted        ErrDenied
//	fixed token expired                   ErrDenied
//	TLS refuses a certificate             like a member that is not reachable; the
//	                                      error of the call says what TLS says
//	"database space exceeded"             ErrUnknown: etcd also says so after a
//	                                      write that it has applied
//	client closed                         ErrClosed
package etcd
