// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package consul is the adapter for a Consul datacenter that the user runs.
//
//	client, err := api.NewClient(api.DefaultConfig())
//	store, err := consul.New(client, nil)
//	sess, err := session.Open(ctx, store, nil)
//
// It is tested with Consul 1.22.0. The address, the token, TLS settings, the
// namespace and the partition are those of the client, which stays the user's.
// (Namespaces and partitions are of Consul Enterprise, with which nothing here
// has been tested.) A Store has no Close: it keeps nothing open while nobody
// watches.
//
// # What it guarantees
//
//   - All of package adapters' contract. Reads are "consistent": the leader
//     answers them after it has made sure that it still leads. Created and Mod
//     are Consul's CreateIndex and ModifyIndex.
//   - A Commit is one transaction, that is one request, and is sent once. What it
//     writes carries a random number in Flags, since Consul does not move the
//     ModifyIndex of a key that is written as it was.
//   - A lease is a session without checks and without a lock delay that deletes
//     its keys. The servers end it two TTLs after its last renewal, 20 s at the
//     least unless they are told otherwise (session_ttl_min, Options.MinTTL). Its
//     holder counts one TTL.
//   - A name may be had again only when the trust in its last lease has run out,
//     also if Consul ended that lease early (rule R4): see below.
//   - However many watches wait, calls get through: at most Options.MaxCalls calls
//     and Options.MaxPolls blocking queries are under way at once. Each call has a
//     deadline, its context's or 30 s.
//   - With Options.Failover, what one agent does not answer is asked of the next.
//
// # Early ends and the catalog node
//
// When a node leaves Consul's catalog, because its agent leaves, its server is
// reaped or somebody deregisters it, all sessions that were made on it end at
// once, whatever their TTL. The holder of a lock would learn that later than his
// successor. So the Store makes its sessions on a node of its own, "quorate"
// (Options.Node), which it registers, which belongs to no agent, and which
// Consul therefore never removes.
//
// If a person does remove it, all leases end together. The Store registers the
// node again, and grants no lease on it until the longest TTL that anybody had
// asked for has run, so that nobody can be given a place before its last holder
// has let go:
//
//	first use --note written--> leases are granted <----+
//	                                | node removed      | longest TTL has run
//	                                v                   |
//	                    node registered again: leases wait, Grant fails
//
// Which life of the node may have leases stands in the key "quorate/node". All
// who share keys must share Options.Node. A session made elsewhere can be
// adopted (session.Options.Lease) if it keeps the same rules: made on that node,
// without checks, with Behavior "delete" and a TTL.
//
// # How a watch works
//
// It is a blocking query, renewed every minute, in the reader's goroutine. A
// query that ends without a change is followed by a pause, up to 100 ms. A
// subtree without a key would end it at every write to the whole store; there a
// key is written and deleted in one transaction, which gives the subtree an
// index of its own for a while. Watches beyond Options.MaxPolls share queries
// for the first segment of their names, and after each change below that read
// all that they are about.
//
// While anybody watches, one small request every Options.ProbeEvery asks which
// server leads. If none answers, or another one leads, all queries are made anew.
//
// # Least privilege
//
// deploy/consul/policy.hcl is a policy with the rights that are needed and no
// others: to write keys under the prefix and "quorate/node", to write sessions
// on the node "quorate", and to write that node. Nobody needs a right to the
// sessions of other nodes. What a token may not do is ErrDenied, with Consul's
// words for the missing right.
//
// # What it does not guarantee
//
//   - Keys are stored as they are, except that %XX, which stands for bytes that
//     must not be in a key, is stored as =XX: Consul unescapes %XX. Keys with
//     "//", with ".." or "." as a segment, or with spaces at an end, are refused.
//
//   - Revisions start again when the servers' data are rebuilt from nothing. A
//     restored snapshot brings sessions and keys of the past back.
//
//   - Limits describes a Consul with default settings. One with lower limits
//     answers with an error, and nothing is written.
//
//   - Over plain HTTP each request under way is a connection, and an agent takes
//     200 from one address (http_max_conns_per_client). With other programs
//     there, lower MaxPolls.
//
//   - With HTTPS all requests share one HTTP/2 connection. Go does not give it up
//     when a link swallows its packets, for as long as TCP hopes: all calls fail,
//     and sessions are lost, although a new connection would work. Have it looked
//     after, before the client is made:
//
//     cfg := api.DefaultConfig()
//     cfg.Transport.HTTP2 = &http.HTTP2Config{
//     SendPingTimeout: time.Second, // of silence, until it asks
//     PingTimeout:     time.Second, // until it gives the connection up
//     }
//
//   - A blocking query that is under way keeps the rights that it began with, so
//     a watch may show a change or two, or end a minute late, after its right was
//     withdrawn. Where a token may see some keys of a subtree and not others, the
//     subtree is shown without those.
//
//   - One transaction can read about 60 subtrees.
//
//   - Consul walks over the keys that were deleted in the last 15 minutes when it
//     reads a subtree, so a lock that was taken often in that time is slower.
//
// # Failures
//
//	what happens                          what the Store does
//	agent not reachable                   the next client; calls fail, watches wait
//	agent or server hangs, black hole     Read goes to the next client; Commit
//	                                      ends with its context: ErrUnknown
//	Consul elects a leader                calls fail or wait; ErrUnknown if it cut
//	                                      them off; leases get their full time again
//	frozen leader                         watches move when another one leads
//	index of a watch goes back            it reads again
//	lease expired or destroyed            ErrLeaseLost; Revoke returns nil
//	agent leaves, node is reaped          nothing: leases hang on no agent's node
//	the node of all leases removed        all leases end; Grant fails until their
//	                                      trust has run out
//	right is missing, token unknown       ErrDenied, also as the end of a watch
//	session that is no lease is renewed   ErrInvalid, naming the field
//	200 connections used up               calls fail and may be made again
package consul
