// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package chaos holds tests only: client processes use all primitives at once on
// real clusters while one thing after another goes wrong, write down what they
// ask and are told, and package check judges what they wrote.
//
//	go test ./chaos                                                   most nemeses once, on etcd and on Consul (2 min)
//	go test ./chaos -v -timeout 0 -run TestChaos -args -profile ci    all of them four times (15 min)
//	go test ./chaos -v -timeout 0 -run TestChaos -args -profile soak -for 1h -seed 7
//	go test ./chaos -v -run TestChaos/etcd -args -mode safety -plan 'kill; reset + leader killed'
//
// Flags of this package stand behind -args: -profile, -for, -seed, -plan, -mode,
// -failed FOLDER (for runs that fail; quorate-chaos in the temporary folder by
// default) and -results FOLDER (for what [results] counts, from which
// `go run ./chaos/report` writes docs/reliability.md).
//
// # What is in a run
//
//   - Three servers, and five clients: processes with a session each, which one
//     goroutine asks whether it is alive; on it three that lock and unlock one of
//     four names, one of them by Do with work that is slow to return, two that keep a
//     lock for long, two that lead one of two elections and resign, one that observes.
//     An error that the documentation does not speak of is told as unexpected.
//   - A resource outside the store that refuses smaller tokens and writes down what
//     it takes. Each holder asks whether it still has its place every few
//     milliseconds, and after each yes writes to it.
//   - A link from each client to the servers (toxiproxy), which can be cut, slowed
//     down or swallow what goes over it. As root on Linux, with `ip` and `nft`, each
//     server has a network namespace of its own too, and the whole test one around
//     them, so that nothing of it is left when the process is gone.
//   - The truth: what the servers say of the run's keys, watched over clean links.
//   - Nemeses, with two seconds of peace between them. Each one tells when it began
//     and ended, on whom, and what it was seen to do: one that did nothing fails the
//     run. One that cannot be here says why, and is red in the report.
//
// # Modes
//
// In liveness mode a quorum of the servers is kept, one nemesis is at work at a time,
// and what can be held must be held again within the bounds of package check. In
// safety mode anything may happen, also two things at once, and progress is not
// asked for. That nobody holds what somebody else holds is asked for in both, and
// both end with a calm, by the end of which all must be well. Clients then end in
// order: in liveness mode their keys are gone at once, in safety mode in time.
//
// # A run that fails
//
// It leaves a folder: the histories of all processes, the resource's, the servers'
// and the nemeses' among them, run.json with the seed, what was done and found,
// timeline.html, porcupine's picture of each name that is concerned, and the command
// that does the same again. `go run ./chaos/judge FOLDER` judges it once more, also by
// checkers that are newer than it.
//
// A client that ends badly, or a nemesis that breaks off, is a violation of the rule
// run, and the rest is judged all the same. A run that cannot be judged counts as one.
//
// # Can it convict?
//
// TestConvicts plants seven defects in the clients, their store or the resource, and puts
// etcd's concurrency.Mutex and Consul's api.Lock in their place: the same checkers must
// object to each of the nine, and to nothing without them. Histories of six are kept
// below check/testdata, where the checkers have to go on convicting them (-keep DIR
// writes new ones).
//
// # A workload more
//
// A file with a function like useMutex, and its line in workloads. It tells
// [history.Call], Got, Checked and so on of a kind of its own; the checkers go by
// what happened to each name and need to know nothing of the kind.
package chaos
