// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package embedded runs a real etcd server inside the process, where no etcd
// or Consul runs yet: for development and tests, for a program on one host, or
// for three processes that form a cluster of their own.
//
//	srv, err := embedded.Start(ctx, nil)
//	...
//	defer srv.Close()
//	store := srv.Store()
//
// It is the server of etcd's own module with etcd's own storage format, so
// that etcdctl works on its endpoint and a Dir can later be served by a plain
// etcd. Only what imports this package pays for the server's dependencies.
//
// # Guarantees
//
//   - What a server with a Dir has acknowledged is on disk. After Close, a
//     crash or a SIGKILL, Start on the same Dir brings keys, leases and
//     revisions back, and tokens go on from where they were.
//   - No two servers use one Dir: the second Start fails at once with
//     [ErrInUse], also if the first one is a plain etcd. The lock is the
//     kernel's and goes with the process.
//   - When Start returns, the server answers. Alone that takes 0.1 to 1 s,
//     most of it one election timeout drawn at random; in a Cluster 1 to 3 s
//     after a majority has been started. Without a majority, Start waits until
//     its context ends.
//   - Close returns within about 0.1 s alone and 1 s in a Cluster, 10 s at the
//     most, and leaves no goroutine, port or temporary file behind; but in a
//     Cluster etcd leaves idle http connections between members, with two
//     goroutines at each end, to their read timeout of 5 s (3 s were seen).
//   - Nothing is printed, and no logger outside this package is set, neither
//     grpc's nor zap's; what grpc's own prints by default is the program's choice.
//
// # Not guaranteed
//
//   - Without a Dir nothing outlives Close, and fencing tokens start again at
//     the next Start: a resource that remembers tokens must be new as well. A
//     process that is killed leaves its temporary directory, some 130 MB,
//     most of which etcd reserves in advance for its log.
//   - The server is as available as the process. Alone, all leases wait while
//     it is down, and are extended to their full TTL when it comes back.
//   - There is no authentication and no encryption. On loopback, every local
//     user may read and write. To listen elsewhere is the user's decision, and
//     then everybody on that network may.
//   - Leases last 2 s at least: etcd raises a shorter TTL to 1.5 × Election,
//     rounded up to a second. A shorter Election lowers that, and makes the
//     members of a Cluster depose a leader that was merely slow.
//   - History is compacted, every 5 minutes, down to the last 10,000 revisions.
//     Watches of this module do not mind; those of other users of the Client
//     that resume from an old revision may.
//   - Members are neither added, replaced nor removed here, and Cluster is
//     only looked at when a member starts on an empty Dir. For changes, use
//     etcd's member API through the Client.
//
// # States
//
//	Start --(bound, elected, answers)--> serving --Close--> closed
//	  |                                     |
//	  +--(ctx ends, error)--> nothing left  +--(disk fails)--> the process ends
//
// # Failures
//
//	failure                          what happens
//	-------                          ------------
//	address taken                    Start fails, naming ClientAddr or PeerAddr
//	Dir taken                        Start fails with ErrInUse
//	database damaged                 Start fails; if only the log is damaged, etcd panics
//	context ends during Start        Start fails with its cause and tears down
//	no majority in a Cluster         reads and writes wait; leases do not end
//	another member fails             a majority goes on; Client turns to those left
//	this member's Dir is lost        Start fails: etcd says that it has already been bootstrapped
//	disk full or failing             etcd must not go on: the process panics and says why
//	database reaches 2 GiB           writes fail with etcd's NOSPACE alarm; reads and deletes work
//	process killed                   leases of its sessions run out when a server is back
//	Close during calls               they are cut; the outcome of writes is unknown
package embedded
