// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package history is what a chaos run leaves behind: for each process a file of
// events, one JSON object a line, in the order in which they happened to it.
//
//	w, err := history.Create(dir, "client-1")
//	id := w.Call(history.Mutex, "jobs/7")
//	...
//	w.Got(id, token)
//
// Who judges a run reads the folder ([Load]) and needs nothing else, so an old
// failure can be judged again by a checker that is newer than it.
//
// # What is guaranteed
//
//   - A line is written with one system call to a file that is only appended to:
//     a process that is killed loses no line that it has written, and the last
//     one is whole or, if the machine itself was short of disk, missing.
//   - All times are readings of one clock that runs through suspension and that
//     nobody can set, so those of all processes of one machine can be compared.
//
// # What is not
//
//   - Between an event and its line there is time: a process that is stopped in
//     between writes an old time late. Checkers go by the time, not by the line.
//   - Power loss. Nothing is synced.
//
// # Processes
//
// Clients write what they asked and were told, and when they began: one that was
// killed comes back under its name, with another life. Three names are special: nemesis
// tells what was done to whom and from when to when; resource tells which writes
// the guarded resource took, in its order; server tells what a watch over a clean
// link saw in the store.
package history
