// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package locked holds tests only: Quorate on backends that are locked down.
//
// A participant here is a user who may do what its session does below its
// prefix, and nothing else, over connections on which both sides show
// certificates. That right is given by the files of deploy/, word for word.
//
// # What is tested
//
//   - With that right, everything works: the contract's suite, locks, elections.
//   - Without it, nothing is tried for ever: each call fails at once, with
//     adapters.ErrDenied and a text that says which right is missing.
//   - A right that is withdrawn ends what stands on it: holds, waits, and the
//     session, with that reason. One that is given back in time ends nothing.
//   - Credentials that expire, again and again during one wait, are renewed on
//     the way, and nobody loses anything.
//   - Certificates that are missing, or of another authority, are told as such.
//
// The tests of each backend are in files of its name. Servers are skipped with
// -short.
package locked
