// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Command judge judges a chaos run by the history that it left behind.
//
//	go run ./chaos/judge [-liveness] [-picture FILE] [-porcupine DIR] DIR
//
// DIR is a folder of histories, as package chaos/history writes them. Each
// violation is one line, with its times in seconds since the first event; the
// last line counts. A run.json among them tells what the run was, by what bounds it
// was judged, and whether progress is due, which -liveness says of any. What the run
// has found by other means than the histories, such as how its clients ended, stands
// there too and is printed behind the rest. With -picture the command also draws the
// run, as one HTML page, and with -porcupine what porcupine makes of each name that
// has a violation.
//
// It ends with 0 if there is no violation, with 1 if there is one, and with 2 if
// it could not judge, or could not write what it was asked to write. (go run
// makes 1 of every failure. To tell them apart, go build it.)
package main
