// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
)

// A bound is a plant that is just inside of what may be, or by one nanosecond
// outside.
type bound struct {
	rule  string
	plant func(s *story, out time.Duration) // 0 or 1
}

const sec = time.Second

// calmAt is when the nemesis of a plain story is over.
const calmAt = 7072 * time.Millisecond

// lateFor has a wait outlive its context for so long.
func lateFor(s *story, d time.Duration) {
	s.does("client-0", "w", 8*sec, history.Call)
	s.does("client-0", "w", 9*sec, history.Cancel)
	s.does("client-0", "w", 9*sec+d, history.Failed)
}

var waitBounds = map[string]bound{
	"in time": {"wait", func(s *story, out time.Duration) { lateFor(s, sec+out) }},
	"for ever, killed": {"wait", func(s *story, out time.Duration) {
		s.does("client-9", "w", 8*sec, history.Call)
		s.does("client-9", "w", 9*sec, history.Cancel)
		s.tell(history.Event{T: 10*sec + out, Proc: "client-9", What: history.State, Value: "active"})
	}},
	"stopped for a while": {"wait", func(s *story, out time.Duration) {
		s.nemesis("stop short", "client-0", 9*sec+100, 9*sec+200)
		lateFor(s, sec+100+out)
	}},
	"stopped before": {"wait", func(s *story, out time.Duration) {
		s.nemesis("stop short", "client-0", 8*sec, 8*sec+sec/2)
		lateFor(s, sec+out)
	}},
	"stopped from before until after": {"wait", func(s *story, out time.Duration) {
		s.nemesis("stop short", "client-0", 8*sec, 9*sec+100)
		lateFor(s, sec+100+out)
	}},
	"stopped twice at once": {"wait", func(s *story, out time.Duration) {
		s.nemesis("stop short", "client-0", 9*sec+100, 9*sec+300)
		s.nemesis("stop by freezer", "client-0", 9*sec+200, 9*sec+400)
		lateFor(s, sec+300+out)
	}},
	"stopped after": {"wait", func(s *story, out time.Duration) {
		lateFor(s, sec+out)
		s.nemesis("stop short", "client-0", 10*sec+out, 11*sec)
	}},
	"stopped for ever": {"wait", func(s *story, out time.Duration) {
		s.nemesis("stop long", "client-0", 10*sec+out, 0)
		lateFor(s, 20*sec)
	}},
	"another one stopped": {"wait", func(s *story, out time.Duration) {
		s.nemesis("stop short", "client-2", 9*sec, 10*sec)
		lateFor(s, sec+out)
	}},
	"the machine stood still": {"wait", func(s *story, out time.Duration) {
		s.silence(9*sec+100, 9*sec+300*time.Millisecond+100)
		lateFor(s, sec+300*time.Millisecond+out)
	}},
	"the machine stood still while it was stopped": {"wait", func(s *story, out time.Duration) {
		s.silence(9*sec+100, 9*sec+300*time.Millisecond+100)
		s.nemesis("stop short", "client-0", 9*sec+99, 9*sec+300*time.Millisecond+100)
		lateFor(s, sec+300*time.Millisecond+1+out)
	}},
	"one word in the silence": {"wait", func(s *story, out time.Duration) {
		s.silence(9*sec+100, 9*sec+80*time.Millisecond+100)
		s.tell(history.Event{T: 9*sec + 40*time.Millisecond, Proc: "resource", What: history.Wrote, Token: 1})
		lateFor(s, sec+out)
	}},
	"one process alone was silent": {"wait", func(s *story, out time.Duration) {
		s.paces("client-0", 8*sec, 9*sec+100)
		s.paces("client-0", 9*sec+300*time.Millisecond+100, 11*sec)
		s.paces("client-2", 8*sec, 11*sec)
		lateFor(s, sec+out)
	}},
	"nobody had been asking": {"wait", func(s *story, out time.Duration) {
		s.paces("client-2", 8*sec, 9*sec+100)
		s.paces("client-2", 9*sec+300*time.Millisecond+100, 11*sec)
		lateFor(s, sec+out)
	}},
	"another nemesis": {"wait", func(s *story, out time.Duration) {
		s.nemesis("cut", "client-0", 9*sec, 10*sec)
		lateFor(s, sec+out)
	}},
}

// handsOver has one give back a lock that another waits for, who has it then.
func handsOver(s *story, gave, called, got time.Duration) {
	s.holds("client-1", "u", 801, gave-10, gave)
	s.tries("client-0", "u", 802, called, history.Call)
	s.holds("client-0", "u", 802, got, got)
}

// hitsBefore has a nemesis be over for so long when something is given back and
// nobody gets it in time.
func hitsBefore(name string, long time.Duration) func(s *story, out time.Duration) {
	return func(s *story, out time.Duration) {
		s.nemesis(name, "client-0", 14*sec, 14*sec+1)
		at := 14*sec + 1 + long + out
		handsOver(s, at, at-10, at+2*sec)
	}
}

var unlockBounds = map[string]bound{
	"in time": {"unlock", func(s *story, out time.Duration) { handsOver(s, 15*sec, 14*sec, 16*sec+out) }},
	"called before it was given back": {"unlock", func(s *story, out time.Duration) {
		handsOver(s, 15*sec, 15*sec-out, 17*sec)
	}},
	"given up": {"unlock", func(s *story, out time.Duration) {
		s.tries("client-0", "u", 802, 16*sec+out, history.Cancel)
		handsOver(s, 15*sec, 14*sec, 16*sec+2)
	}},
	"failed": {"unlock", func(s *story, out time.Duration) {
		s.holds("client-1", "u", 801, 14*sec, 15*sec)
		s.tries("client-0", "u", 802, 14*sec, history.Call)
		s.tries("client-0", "u", 802, 16*sec+out, history.Failed)
	}},
	"died": {"unlock", func(s *story, out time.Duration) {
		s.holds("client-1", "u", 801, 14*sec, 15*sec)
		s.tries("client-9", "u", 802, 14*sec, history.Call)
		s.tell(history.Event{T: 16*sec - 1 + out, Proc: "client-9", What: history.State, Value: "active"})
	}},
	"the run ends": {"unlock", func(s *story, out time.Duration) {
		s.holds("client-1", "u", 801, s.now-2*sec, s.now-sec+1-out)
		s.tries("client-0", "u", 802, s.now-2*sec, history.Call)
	}},
	"not confirmed": {"unlock", func(s *story, out time.Duration) {
		handsOver(s, 15*sec, 14*sec, 17*sec)
		s.change(func(e *history.Event) {
			if out == 0 && e.What == history.Gave && e.Name == "u" {
				e.Err = "unknown"
			}
		})
	}},
	"a nemesis begins": {"unlock", func(s *story, out time.Duration) {
		handsOver(s, 14*sec, 13*sec, 16*sec)
		s.nemesis("cut", "client-1", 15*sec+out, 15*sec+2)
	}},
	"a nemesis without an end": {"unlock", func(s *story, out time.Duration) {
		s.nemesis("ring", "all", 13*sec, out*13*sec+out)
		handsOver(s, 20*sec, 19*sec, 22*sec)
	}},
	"a session was lost before": {"unlock", func(s *story, out time.Duration) {
		s.tell(history.Event{T: 14 * sec, Proc: "client-2", What: history.State, Value: "lost"})
		handsOver(s, 19*sec+out, 18*sec, 21*sec)
	}},
	"a session is lost": {"unlock", func(s *story, out time.Duration) {
		s.tell(history.Event{T: 16*sec + out, Proc: "client-2", What: history.State, Value: "lost"})
		handsOver(s, 15*sec, 14*sec, 17*sec)
	}},
	"a session is active": {"unlock", func(s *story, out time.Duration) {
		s.tell(history.Event{T: 15 * sec, Proc: "client-2", What: history.State, Value: "active"})
		handsOver(s, 15*sec, 14*sec, 16*sec+out)
	}},

	"after a kill":            {"unlock", hitsBefore("kill", 5*sec)},
	"after a rolling restart": {"unlock", hitsBefore("rolling restart", 5*sec)},
	"after a stop":            {"unlock", hitsBefore("stop by freezer", 5*sec)},
	"after a black hole":      {"unlock", hitsBefore("black hole", 5*sec)},
	"after an earthquake":     {"unlock", hitsBefore("earthquake", 5*sec)},
	"after all servers":       {"unlock", hitsBefore("all servers down", 5*sec)},
	"after a leader":          {"unlock", hitsBefore("leader killed", 2*sec)},
	"after a compaction":      {"unlock", hitsBefore("compaction", 2*sec)},
}

// wantsFrom has a lock be wanted, and held for a moment when the nemesis ends if
// that is not 0, and again from a time on.
func wantsFrom(s *story, held, called, again time.Duration) {
	if held > 0 {
		s.holds("client-1", "m", 701, calmAt-sec, calmAt+held)
	}
	s.tries("client-0", "m", 702, called, history.Call)
	if again > 0 {
		s.holds("client-0", "m", 702, again, again)
	}
}

var healBounds = map[string]bound{
	"in time": {"heal", func(s *story, out time.Duration) { wantsFrom(s, 0, calmAt-sec, calmAt+10*sec+out) }},
	"held for a moment": {"heal", func(s *story, out time.Duration) {
		wantsFrom(s, 1, calmAt-sec, calmAt+1+10*sec+out)
	}},
	"held twice, and then no more": {"heal", func(s *story, out time.Duration) {
		wantsFrom(s, 1, calmAt+sec, calmAt+2*sec)
		s.tries("client-2", "m", 703, calmAt, history.Call)
		s.holds("client-2", "m", 703, calmAt+12*sec+out, calmAt+12*sec+out)
	}},
	"the next nemesis begins": {"heal", func(s *story, out time.Duration) {
		wantsFrom(s, 1, calmAt-sec, calmAt+11*sec)
		s.nemesis("leader killed", "server 1", calmAt+10*sec+out, calmAt+10*sec+2)
	}},
	"the run ends": {"heal", func(s *story, out time.Duration) {
		for _, at := range []time.Duration{calmAt - sec, s.now - 10*sec + 1 - out} {
			s.tries("client-1", "m", 701, calmAt-sec, history.Got).Token = 1
			s.tries("client-1", "m", 701, at, history.Checked)
		}
		s.tries("client-0", "m", 702, calmAt, history.Call)
	}},
	"never held, and wanted from the begin on": {"heal", func(s *story, out time.Duration) {
		wantsFrom(s, 0, calmAt+200*time.Millisecond+1-out, calmAt+2*sec)
		s.nemesis("leader killed", "server 1", calmAt+sec, calmAt+sec+2)
	}},
	"never held, and wanted until the end": {"heal", func(s *story, out time.Duration) {
		wantsFrom(s, 0, calmAt, 0)
		s.tries("client-0", "m", 702, calmAt+800*time.Millisecond-1+out, history.Failed)
		s.nemesis("leader killed", "server 1", calmAt+sec, calmAt+sec+2)
	}},
	"between two tries": {"heal", func(s *story, out time.Duration) {
		wantsFrom(s, 1, calmAt, 0)
		s.tries("client-0", "m", 702, calmAt+6*sec, history.Failed)
		s.tries("client-0", "m", 704, calmAt+6*sec+200*time.Millisecond+1-out, history.Call)
		s.tries("client-0", "m", 704, calmAt+11*sec, history.Failed)
	}},
	"given up, and then it hangs": {"heal", func(s *story, out time.Duration) {
		s.tries("client-9", "m", 702, calmAt, history.Call)
		s.tries("client-9", "m", 702, calmAt+10*sec+out, history.Cancel)
		s.tell(history.Event{T: calmAt + 11*sec, Proc: "client-9", What: history.State, Value: "active"})
	}},
	"killed while it waited": {"heal", func(s *story, out time.Duration) {
		s.tries("client-9", "m", 702, calmAt, history.Call)
		s.tell(history.Event{T: calmAt + 10*sec + out, Proc: "client-9", What: history.State, Value: "active"})
	}},
	"given up late": {"heal", func(s *story, out time.Duration) {
		wantsFrom(s, 0, calmAt, 0)
		s.tries("client-0", "m", 702, calmAt+10*sec-sec/2, history.Cancel)
		s.tries("client-0", "m", 702, calmAt+10*sec+out, history.Failed)
	}},
	"one tries after another": {"heal", func(s *story, out time.Duration) {
		wantsFrom(s, 0, calmAt+6*sec, calmAt+10*sec+out)
		s.tries("client-2", "m", 703, calmAt, history.Call)
		s.tries("client-2", "m", 703, calmAt+6*sec, history.Failed)
	}},
	"one tries for a shorter time": {"heal", func(s *story, out time.Duration) {
		wantsFrom(s, 0, calmAt, calmAt+10*sec+out)
		s.tries("client-2", "m", 703, calmAt+sec, history.Call)
		s.tries("client-2", "m", 703, calmAt+2*sec, history.Failed)
	}},
	"got, but never knew": {"heal", func(s *story, out time.Duration) {
		wantsFrom(s, 0, calmAt, 0)
		s.tries("client-0", "m", 702, calmAt+10*sec+out, history.Got)
	}},
	"another nemesis is at work still": {"heal", func(s *story, out time.Duration) {
		s.nemesis("leader killed", "server 1", calmAt-sec, calmAt+5*sec)
		wantsFrom(s, 0, calmAt-2*sec, calmAt+15*sec+out)
	}},
}

// TestBounds: each is convicted by its rule if it is outside, and by nothing if
// it is inside; wait and heal after the last nemesis without liveness too.
func TestBounds(t *testing.T) {
	for set, bounds := range map[string]map[string]bound{
		"wait": waitBounds, "unlock": unlockBounds, "heal": healBounds,
		"observe": observeBounds, "lives": livesBounds, "vacuous": vacuousBounds, "others": otherBounds,
	} {
		for name, b := range bounds {
			t.Run(set+", "+name, func(t *testing.T) {
				for out := range time.Duration(2) {
					for _, live := range []bool{true, false} {
						s := plain()
						b.plant(s, out)
						want := map[string]bool{}
						if out == 1 && (live || !progress[set+", "+name] && set != "unlock") {
							want[b.rule] = true
							if b.rule == "overlap" {
								want["linear"] = true
							}
						}
						assert.Equal(t, want, s.rules(check.Bounds{Liveness: live}), "%d ns outside, liveness %v", out, live)
					}
				}
			})
		}
	}
}

// progress is due here in liveness mode only.
var progress = map[string]bool{
	"heal, the next nemesis begins":                  true,
	"heal, never held, and wanted from the begin on": true,
	"heal, never held, and wanted until the end":     true,
	"vacuous, hand-overs before":                     true,
	"vacuous, hand-overs after":                      true,
	"vacuous, hand-overs between two":                true,
	"vacuous, time after":                            true,
}
