// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package flock makes processes of one user on one machine take turns. Only
// tests and their tools import it.
//
// # Guarantees
//
//   - Of those that call Lock with the same name, one at a time returns. The
//     next does when it unlocks or ends, however it ends: the kernel sees to that.
//   - Children of the process do not hold the lock.
//   - Whoever waits for more than a second says so, once, on standard error.
//
// # Not guaranteed
//
//   - Who is next.
//   - Anything on Windows, Solaris and AIX: there, Lock returns at once.
package flock
