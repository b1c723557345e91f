// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package conformance holds tests only: it runs the adapters on real servers.
//
// The suite of adapters/adaptertest runs against an etcd inside the process, a
// single one in a process of its own, and a cluster of three; and against a
// Consul in development mode, a single one, and a cluster of three. Beside it
// stand tests of what only a real server can do to an adapter: members that
// hang, compaction under an open watch, restarts; nodes that leave Consul's
// catalog, its leaders of the past, and its limit of connections.
//
// They live here and not beside the adapter because a test that imports the
// etcd server would make every user of the module download it. They need no
// privilege and no network beyond loopback, and are skipped with -short.
package conformance
