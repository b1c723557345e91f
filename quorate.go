// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package quorate is the root of a coordination framework that a Go service
// embeds. It holds nothing itself; a program uses three of these:
//
//   - An adapter for the backend that it has: adapters/etcd or adapters/consul
//     for servers that run already, adapters/embedded for an etcd inside the
//     process, adapters/memory for tests.
//   - session, which keeps one lease for the whole program.
//   - The primitives above it: mutex for locks, election for leaders, shard for
//     work that is shared out among many.
//
// Two packages stand on their own: shard/planner, the arithmetic of who should
// have which shard, and shard/ring, consistent hashing for keys that nobody owns.
//
// Package adapters is the contract between the two halves, and
// adapters/adaptertest checks a backend of your own against it.
//
// ARCHITECTURE.md shows how they stand on each other, and docs/decisions why.
package quorate
