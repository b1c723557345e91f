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

// plants are one thing each that must not be, put into a story.
var plants = map[string]struct {
	rule  string
	plant func(*story)
}{
	"two believe at once": {"overlap", func(s *story) {
		e := s.find(history.Got, 4)
		e.What, e.T = history.Checked, s.find(history.Got, 5).T+1
		s.tell(e)
	}},
	"one token for two": {"overlap", func(s *story) {
		old := s.find(history.Got, 5).Token
		s.change(func(e *history.Event) {
			if e.Token == old {
				e.Token = s.find(history.Got, 4).Token
			}
		})
	}},
	"tokens that shrink": {"overlap", func(s *story) {
		old := s.find(history.Got, 5).Token
		s.change(func(e *history.Event) {
			if e.Token == old {
				e.Token = 1
			}
		})
	}},
	"given back while the work runs": {"order", func(s *story) {
		give := s.find(history.Give, 3)
		s.change(func(e *history.Event) {
			if e.What == history.Rested && e.ID == give.ID {
				e.T = give.T + time.Second
			}
		})
	}},
	"given back, and the work never returned": {"order", func(s *story) {
		s.drop(history.Rested, 3)
	}},
	"a stale write": {"fence", func(s *story) {
		s.tell(history.Event{T: s.now, Proc: history.Resource, What: history.Wrote, Name: "r", Token: s.find(history.Got, 2).Token, Value: "client-2"})
	}},
	"two write with one token": {"fence", func(s *story) {
		e := s.find(history.Wrote, 4)
		e.Value = "somebody else"
		s.tell(e)
	}},
	"a lost unlock": {"unlock", func(s *story) {
		gave := s.find(history.Gave, 23)
		s.tries("client-0", "l", 99, gave.T-3*time.Millisecond, history.Call)
		s.tries("client-0", "l", 99, gave.T+2*time.Second, history.Failed)
	}},
	"a wait that outlives its context": {"wait", func(s *story) {
		s.tell(history.Event{T: time.Second, Proc: "client-0", What: history.Call, Kind: history.Mutex, Name: "l", ID: 99})
		s.tell(history.Event{T: 2 * time.Second, Proc: "client-0", What: history.Cancel, Kind: history.Mutex, Name: "l", ID: 99})
		s.tell(history.Event{T: 3*time.Second + 1, Proc: "client-0", What: history.Failed, Kind: history.Mutex, Name: "l", ID: 99})
	}},
	"a wait that never ends": {"wait", func(s *story) {
		s.tell(history.Event{T: time.Second, Proc: "client-0", What: history.Call, Kind: history.Mutex, Name: "l", ID: 99})
		s.tell(history.Event{T: 2 * time.Second, Proc: "client-0", What: history.Cancel, Kind: history.Mutex, Name: "l", ID: 99})
	}},
	"nobody after the nemesis": {"heal", func(s *story) {
		s.does("client-0", "m", s.find(history.Stop, 0).T-time.Second, history.Call)
	}},
	"an observer goes back": {"observe", func(s *story) {
		s.sees("observer", "e", s.now, 1, 1, 2, 3, 4, 5, 0, 9, 0, 5)
	}},
	"a session outlives its lease": {"expired", func(s *story) {
		s.believes(1)
	}},
	"a key is left": {"left", func(s *story) {
		s.has(10)
		s.tell(history.Event{T: s.now, Proc: history.Server, What: history.Left, Name: "k"})
	}},
	"a goroutine is left": {"left", func(s *story) { s.tell(history.Event{T: s.now, Proc: "client-0", What: history.Leak, Value: "f"}) }},
	"nothing was done": {"vacuous", func(s *story) {
		begin := s.find(history.Begin, 0).T
		s.change(func(e *history.Event) {
			if e.Proc == history.Nemesis {
				e.T -= begin - time.Second
			}
		})
	}},
	"no time without a nemesis": {"vacuous", func(s *story) {
		for at := 2 * time.Second; at < s.now; at += 3 * time.Second {
			s.nemesis("cut again", "client-2", at, at+2)
		}
	}},
	"the next nemesis comes too early": {"heal", func(s *story) {
		stop := s.find(history.Stop, 0).T
		s.tell(history.Event{T: stop - time.Second, Proc: "client-0", What: history.Call, Kind: history.Mutex, Name: "l", ID: 99})
		s.tell(history.Event{T: stop + 3*time.Second, Proc: "client-0", What: history.Failed, Kind: history.Mutex, Name: "l", ID: 99})
		s.nemesis("again", "client-2", stop+time.Second, stop+time.Second+2)
	}},
	"a nemesis without effect": {"vacuous", func(s *story) { s.drop(history.Effect, 0) }},
	"a wait that gets it late": {"wait", func(s *story) {
		s.does("client-0", "w", time.Second, history.Call)
		s.does("client-0", "w", 2*time.Second, history.Cancel)
		s.does("client-0", "w", 4*time.Second, history.Got)
	}},
	"a holder that was lost long ago": {"order", func(s *story) {
		give := s.find(history.Give, 3)
		give.What, give.Err = history.Lost, "session lost"
		s.tell(give)
		s.drop(history.Rested, 3)
	}},
	"a release that nobody has confirmed": {"order", func(s *story) {
		gave := s.find(history.Gave, 3)
		s.change(func(e *history.Event) {
			if e.What == history.Gave && e.ID == gave.ID {
				e.Err = "unknown"
			}
		})
		s.drop(history.Rested, 3)
	}},
	"two terms at once": {"overlap", func(s *story) {
		s.change(func(e *history.Event) {
			if e.Kind == history.Mutex {
				e.Kind = history.Election
			}
		})
		e := s.find(history.Got, 4)
		e.What, e.T = history.Checked, s.find(history.Got, 5).T+1
		s.tell(e)
	}},
	// The one between them was told late that it has it, and never believed.
	"two that are no neighbours": {"overlap", func(s *story) {
		for i, token := range []uint64{1, 3, 2} {
			s.tries("client-2", "n", uint64(900+token), s.now-30*time.Second+time.Duration(i)*time.Second, history.Got).Token = token
		}
		s.tries("client-2", "n", 903, s.now-29*time.Second+1, history.Checked)
		s.tries("client-2", "n", 901, s.now-30*time.Second+1, history.Checked)
		s.tries("client-2", "n", 901, s.now-29*time.Second+2, history.Checked)
	}},
	"no write": {"vacuous", func(s *story) {
		s.change(func(e *history.Event) {
			if e.What == history.Wrote {
				e.What = history.Refused
			}
		})
	}},
	"an observer that has seen nothing": {"vacuous", func(s *story) {
		s.tell(history.Event{T: time.Second, Proc: "client-0", What: history.Ended, Name: "e"})
	}},
	"no key": {"vacuous", func(s *story) {
		s.tell(history.Event{T: time.Second, Proc: history.Server, What: history.Deleted, Name: "k"})
	}},
	"an observer that sticks": {"observe", func(s *story) {
		s.sees("client-0", "e", time.Second, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
		for token := range uint64(100) {
			s.leads("e", token+1, s.now-10*time.Second+time.Duration(token))
		}
	}},
	"a process that vanishes": {"lives", func(s *story) {
		s.tell(history.Event{T: time.Second, Proc: "client-9", What: history.Born, Value: "77"})
	}},
	"an error that nobody expects": {"errors", func(s *story) {
		s.does("client-0", "w", time.Second, history.Call)
		s.does("client-0", "w", 2*time.Second, history.Failed).Err = history.Unexpected + "nonsense"
	}},
	"an observer that gives up": {"errors", func(s *story) {
		s.sees("client-0", "e", time.Second, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
		s.tell(history.Event{T: 2 * time.Second, Proc: "client-0", What: history.Ended, Name: "e", Err: history.Unexpected + "nonsense"})
	}},
}

// TestPlants: each is convicted by its rule, and by others only if they must.
func TestPlants(t *testing.T) {
	also := map[string][]string{
		"two believe at once": {"linear"},
		"one token for two":   {"linear", "fence"},
		"tokens that shrink":  {"linear", "fence"},

		"two terms at once":          {"linear"},
		"two that are no neighbours": {"linear"},
	}
	convicts := map[string]bool{}
	for name, p := range plants {
		t.Run(name, func(t *testing.T) {
			s := plain()
			p.plant(s)
			rules := s.rules(check.Bounds{Liveness: true})
			assert.True(t, rules[p.rule], "%s does not convict it, but %v", p.rule, rules)
			delete(rules, p.rule)
			for _, other := range also[name] {
				assert.True(t, rules[other], other)
				delete(rules, other)
			}
			assert.Empty(t, rules)
		})
		convicts[p.rule] = true
		for _, other := range also[name] {
			convicts[other] = true
		}
	}
	for _, r := range check.Rules {
		assert.True(t, convicts[r.Name], "no plant for %s", r.Name)
	}
}
