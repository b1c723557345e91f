// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// spares are the nemeses that neither kill nor stop a client, nor take its
// session: servers elect and watches come back, and then all is as it was. After
// all others (kill, rolling restart, all that begin with stop, black hole,
// requests lost, answers lost, late, then cut, reset, flapping, all servers down,
// time of day, and whatever nobody has thought of here) a place may stand in line
// whose client is gone, for as long as its lease lives.
var spares = map[string]bool{
	"leader killed":       true,
	"leader stopped":      true,
	"leader cut off":      true,
	"follower killed":     true,
	"follower stopped":    true,
	"member out of reach": true,
	"one way":             true,
	"ring":                true,
	"compaction":          true,
	"slow disk":           true,
	"full disk":           true,
	"CPU quota":           true,
	"freezer":             true,
}

// back is how long servers and watches take to come back.
const back = 2 * time.Second

// hit says whether some nemesis was at work between two times, or what it did was
// still felt. So is a session that was lost, whoever took it.
func (r *run) hit(from, to time.Duration) bool {
	for _, w := range r.windows {
		after := r.Lease
		if spares[w.Name] {
			after = min(back, r.Lease)
		}
		if w.From <= to && (w.To == 0 || w.To+after >= from) {
			return true
		}
	}
	for _, lost := range r.lost {
		if lost <= to && lost+r.Lease >= from {
			return true
		}
	}
	return false
}

// kills says whether a nemesis ends the life of a process: one that kills it, or
// the one that ends all clients in turn, and kills who does not end.
func kills(w *history.Window, proc string) bool {
	return w.Name == "kill" && w.On == proc || w.Name == "rolling restart"
}

// calmFrom is when the last nemesis was over, unless one never was.
func (r *run) calmFrom() (from time.Duration, ok bool) {
	from = r.start
	for _, w := range r.windows {
		if w.To == 0 {
			return 0, false
		}
		from = max(from, w.To)
	}
	return from, true
}
