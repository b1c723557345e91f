// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// looks has an observer be shown ten times, early on, who leads: token 9 and then
// nobody at last.
func looks(s *story, proc, name string) { s.sees(proc, name, 8*sec, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0) }

// stops has an observer end.
func stops(s *story, name string, t time.Duration) {
	s.tell(history.Event{T: t, Proc: "client-0", What: history.Ended, Name: name})
}

var observeBounds = map[string]bound{
	"shown in time": {"observe", func(s *story, out time.Duration) {
		looks(s, "client-0", "e")
		s.leads("e", 10, s.now-2*sec-out)
	}},
	"looks on until then": {"observe", func(s *story, out time.Duration) {
		looks(s, "client-0", "e")
		stops(s, "e", 30*sec)
		s.leads("e", 10, 28*sec-out)
	}},
	"ended before all was calm": {"observe", func(s *story, out time.Duration) {
		looks(s, "client-0", "e")
		stops(s, "e", calmAt+10*sec-1+out)
		s.leads("e", 10, calmAt+sec)
	}},
	"the nemesis that began first ends last": {"observe", func(s *story, out time.Duration) {
		s.nemesis("ring", "all", 8*sec, 20*sec)
		s.nemesis("leader killed", "server 1", 9*sec, 10*sec)
		looks(s, "client-0", "e")
		stops(s, "e", 30*sec-1+out)
		s.leads("e", 10, 21*sec)
	}},
	"killed before all was calm": {"observe", func(s *story, out time.Duration) {
		looks(s, "client-9", "e")
		s.tell(history.Event{T: calmAt + 10*sec - 1 + out, Proc: "client-9", What: history.State, Value: "active"})
		s.leads("e", 10, calmAt+sec)
	}},
	"the latest": {"observe", func(s *story, out time.Duration) {
		looks(s, "client-0", "e")
		s.leads("e", 9+uint64(out), 20*sec)
	}},
	"of another election": {"observe", func(s *story, out time.Duration) {
		looks(s, "client-0", "e")
		s.leads(map[time.Duration]string{0: "f", 1: "e"}[out], 10, 20*sec)
	}},
	"shown to another": {"observe", func(s *story, out time.Duration) {
		looks(s, "client-0", "e")
		looks(s, "client-1", "e")
		s.leads("e", 10, 20*sec)
		s.sees("client-1", "e", 20*sec+1, 10)
		s.sees("client-2", "e", 20*sec+1, 10)
		s.tell(history.Event{T: s.now, Proc: "client-1", What: history.State, Value: "active"})
		if out == 0 {
			s.sees("client-0", "e", 20*sec+1, 10)
		}
	}},
	"a nemesis without an end": {"observe", func(s *story, out time.Duration) {
		looks(s, "client-0", "e")
		s.leads("e", 10, 20*sec)
		s.nemesis("ring", "all", 9*sec, out*10*sec)
	}},
	"back": {"observe", func(s *story, out time.Duration) {
		looks(s, "client-0", "e")
		looks(s, "client-0", "f")
		s.sees("client-0", "e", 9*sec, 9-uint64(out))
	}},
	"back, another one": {"observe", func(s *story, out time.Duration) {
		looks(s, "client-0", "e")
		s.sees(map[time.Duration]string{0: "client-1", 1: "client-0"}[out], "e", 9*sec, 8)
	}},
	"back, of another election": {"observe", func(s *story, out time.Duration) {
		looks(s, "client-0", "e")
		s.sees("client-0", map[time.Duration]string{0: "f", 1: "e"}[out], 9*sec, 8)
	}},
}

// born has a process begin, and be heard of for the last time.
func born(s *story, from, to time.Duration) {
	s.tell(history.Event{T: from, Proc: "client-9", What: history.Born, Value: "77"})
	s.tell(history.Event{T: to, Proc: "client-9", What: history.State, Value: "active"})
}

var livesBounds = map[string]bound{
	"the run ends": {"lives", func(s *story, out time.Duration) { born(s, 5*sec, s.now-sec-out) }},
	"in order": {"lives", func(s *story, out time.Duration) {
		born(s, 5*sec, 9*sec)
		if out == 0 {
			s.tell(history.Event{T: 10 * sec, Proc: "client-9", What: history.End})
		}
	}},
	"never born": {"lives", func(s *story, out time.Duration) {
		s.tell(history.Event{T: 9 * sec, Proc: "client-9", What: map[time.Duration]history.What{0: history.State, 1: history.Born}[out]})
	}},
	"a kill soon after": {"lives", func(s *story, out time.Duration) {
		born(s, 5*sec, 9*sec)
		s.nemesis("kill", "client-9", 14*sec+out, 15*sec)
	}},
	"a kill before": {"lives", func(s *story, out time.Duration) {
		born(s, 5*sec, 9*sec+out)
		s.nemesis("kill", "client-9", 8*sec, 9*sec)
	}},
	"a kill without an end": {"lives", func(s *story, out time.Duration) {
		born(s, 5*sec, 9*sec)
		s.nemesis(map[time.Duration]string{0: "kill", 1: "ring"}[out], "client-9", 8*sec, 0)
	}},
	"a kill of the next life": {"lives", func(s *story, out time.Duration) {
		born(s, 5*sec, 9*sec)
		born(s, 10*sec, 10*sec)
		s.tell(history.Event{T: 11 * sec, Proc: "client-9", What: history.End})
		s.nemesis("kill", "client-9", 10*sec+out, 12*sec)
	}},
	"a kill of another": {"lives", func(s *story, out time.Duration) {
		born(s, 5*sec, 9*sec)
		s.nemesis("kill", map[time.Duration]string{0: "client-9", 1: "client-8"}[out], 8*sec, 10*sec)
	}},
	"all are restarted": {"lives", func(s *story, out time.Duration) {
		born(s, 5*sec, 9*sec+out)
		s.nemesis("rolling restart", "all clients", 8*sec, 9*sec)
	}},
}

var vacuousBounds = map[string]bound{
	"places before": {"vacuous", func(s *story, out time.Duration) { *s = *tale(11-2*int(out), 12) }},
	"hand-overs before": {"vacuous", func(s *story, out time.Duration) {
		*s = *tale(11-int(out), 12)
	}},
	"hand-overs after": {"vacuous", func(s *story, out time.Duration) {
		*s = *tale(12, 11-int(out))
	}},
	"hand-overs between two": {"vacuous", func(s *story, out time.Duration) {
		if out == 1 {
			s.nemesis("reset", "client-1", s.now-15*sec, s.now-14*sec)
		}
	}},
	"time after": {"vacuous", func(s *story, out time.Duration) {
		var kept []history.Event
		for _, e := range s.events {
			if e.T <= calmAt {
				kept = append(kept, e)
			}
		}
		s.events = append(kept, history.Event{T: calmAt + 8*sec + out, Proc: "client-0", What: history.End})
	}},
	"session": {"vacuous", func(s *story, out time.Duration) {
		s.asks("client-0", "abc", []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}[out:]...)
	}},
	"server": {"vacuous", func(s *story, out time.Duration) { s.has(10 - int(out)) }},
	"observers": {"vacuous", func(s *story, out time.Duration) {
		s.sees("client-0", "e", sec, []uint64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}[out:]...)
	}},
	"resource": {"vacuous", func(s *story, out time.Duration) {
		taken := 0
		s.change(func(e *history.Event) {
			if e.What == history.Wrote {
				if taken++; taken > 10-int(out) {
					e.What = history.Refused
				}
			}
		})
	}},
}

var otherBounds = map[string]bound{
	"overlap": {"overlap", func(s *story, out time.Duration) {
		got := s.find(history.Got, 4)
		got.What, got.T = history.Checked, s.find(history.Got, 5).T+out
		s.tell(got)
	}},
	"order": {"order", func(s *story, out time.Duration) {
		give := s.find(history.Give, 3)
		s.change(func(e *history.Event) {
			if e.What == history.Rested && e.ID == give.ID {
				e.T = give.T + out
			}
		})
	}},
	"expired": {"expired", func(s *story, out time.Duration) { s.believes(out) }},
	"left": {"left", func(s *story, out time.Duration) {
		s.tell(history.Event{T: s.now, Proc: "client-0", What: map[time.Duration]history.What{0: history.State, 1: history.Leak}[out]})
	}},
	"errors": {"errors", func(s *story, out time.Duration) {
		lateFor(s, 1)
		s.events[len(s.events)-1].Err = map[time.Duration]string{0: "deadline", 1: "unexpected: "}[out]
	}},
}
