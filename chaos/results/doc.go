// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package results counts what chaos runs have done and found, and writes the page
// that shows it.
//
//	r := results.Of(h, found, results.Head{Backend: "etcd", Profile: "ci", Seed: 7})
//	err := r.Store(dir)
//	...
//	all, err := results.Load(dir)
//	err = results.Page(w, all)
//
// # What is counted
//
// A fault is one time that a nemesis was at work, and effective when it was seen to
// have done something. An operation counts for the nemesis in whose time it ended:
// from the nemesis's begin until the next one's. A violation counts for the nemesis in
// whose time it began; what began before the first one counts for none, but it counts.
//
// # What is not
//
// A file says what it was told: whoever stores results of another machine or of
// another state of the code says so in the file's head.
package results
