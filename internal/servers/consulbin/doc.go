// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package consulbin finds the Consul that tests start, or builds it. Only tests
// and their tools import it; Consul itself is imported by nobody here, because
// its license (BUSL-1.1) is not ours.
//
// # Guarantees
//
//   - Find looks at QUORATE_CONSUL, then for `consul` on the PATH, then in Go's
//     build cache, and builds only then. What the first of them says is final:
//     a QUORATE_CONSUL that names nothing is an error.
//   - What is built is the version and the sources that internal/tools/consul
//     pins by their hashes, whatever GOFLAGS and GOWORK say.
//   - One build at a time on this machine, per user, where package flock works.
//   - A build says that it begins, how far it is every 15 seconds, and how it ended.
//
// # Not guaranteed
//
//   - The version of a Consul that was found: the tests are written for 1.22.
//   - That it stays built: Go's cache forgets what nobody used for five days.
//
// # Failures
//
//	failure                               what happens
//	-------                               ------------
//	not in this module's source tree      Find fails, and QUORATE_CONSUL or a consul on the PATH is needed
//	no go command, no network, no space   Find fails with what go said last and the command to repeat
package consulbin
