// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
)

// TestGoodStoriesPass: what is as it should be is not objected to.
func TestGoodStoriesPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if found := check.All(history.Of(drawStory(t, 1).events...), check.Bounds{Liveness: true}); len(found) > 0 {
			t.Log(found)
			t.Fatal("a good history is objected to")
		}
	})
	assert.Empty(t, check.All(history.Of(plain().events...), check.Bounds{Liveness: true}))
}

// TestAnyOverlapIsConvicted: a holder that is told yes once more after the next
// one has it, anywhere in any story, is found by two rules that know nothing of
// each other.
func TestAnyOverlapIsConvicted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStory(t, 2)
		var holders []history.Event
		for _, e := range s.events {
			if e.What == history.Got {
				holders = append(holders, e)
			}
		}
		i := rapid.IntRange(0, len(holders)-2).Draw(t, "holder")
		late, next := holders[i], holders[i+1]
		late.What, late.T = history.Checked, next.T+time.Microsecond
		next.What, next.T = history.Checked, next.T+2*time.Microsecond
		s.tell(late)
		s.tell(next)
		rules := map[string]bool{}
		for _, v := range check.All(history.Of(s.events...), check.Bounds{}) {
			rules[v.Rule] = true
		}
		if !rules["overlap"] {
			t.Fatal("not found by the overlap rule")
		}
		if !rules["linear"] {
			t.Fatal("not found by porcupine")
		}
	})
}

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
		gave := s.find(history.Gave, 15)
		s.tell(history.Event{T: gave.T - 3*time.Millisecond, Proc: "client-0", What: history.Call, Kind: history.Mutex, Name: "l", ID: 99})
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
		stop := s.find(history.Stop, 0).T
		s.cut(stop)
		s.tell(history.Event{T: stop - time.Second, Proc: "client-0", What: history.Call, Kind: history.Mutex, Name: "l", ID: 99})
		s.tell(history.Event{T: stop + 20*time.Second, Proc: "client-0", What: history.End})
	}},
	"an observer goes back": {"observe", func(s *story) {
		for i, token := range []uint64{5, 0, 9, 0, 5} {
			s.tell(history.Event{T: s.now + time.Duration(i), Proc: "observer", What: history.Saw, Name: "e", Token: token})
		}
	}},
	"a session outlives its lease": {"expired", func(s *story) {
		s.asks("client-0", "abc", s.now, s.now+3)
		s.tell(history.Event{T: s.now + 2, Proc: history.Server, What: history.Deleted, Name: "p/inbox/abc"})
	}},
	"a key is left":       {"left", func(s *story) { s.tell(history.Event{T: s.now, Proc: history.Server, What: history.Left, Name: "k"}) }},
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
			for i, w := range []history.What{history.Begin, history.Effect, history.Stop} {
				s.tell(history.Event{T: at + time.Duration(i), Proc: history.Nemesis, What: w, Name: "cut again", Value: "client-2"})
			}
		}
	}},
	"the next nemesis comes too early": {"heal", func(s *story) {
		stop := s.find(history.Stop, 0).T
		s.tell(history.Event{T: stop - time.Second, Proc: "client-0", What: history.Call, Kind: history.Mutex, Name: "l", ID: 99})
		s.tell(history.Event{T: stop + 3*time.Second, Proc: "client-0", What: history.Failed, Kind: history.Mutex, Name: "l", ID: 99})
		for i, w := range []history.What{history.Begin, history.Effect, history.Stop} {
			s.tell(history.Event{T: stop + time.Second + time.Duration(i), Proc: history.Nemesis, What: w, Name: "again", Value: "client-2"})
		}
	}},
	"a nemesis without effect": {"vacuous", func(s *story) { s.drop(history.Effect, 0) }},
}

// TestPlants: each is convicted by its rule, and by others only if they must.
func TestPlants(t *testing.T) {
	also := map[string][]string{
		"two believe at once": {"linear"},
		"one token for two":   {"linear", "fence"},
		"tokens that shrink":  {"linear", "fence"},
	}
	convicts := map[string]bool{}
	for name, p := range plants {
		t.Run(name, func(t *testing.T) {
			s := plain()
			p.plant(s)
			rules := map[string]bool{}
			for _, v := range check.All(history.Of(s.events...), check.Bounds{Liveness: true}) {
				rules[v.Rule] = true
			}
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

// TestPauseIsNoOverlap: a question that a pause cuts in two counts as old as it
// is; one that is asked after it does not.
func TestPauseIsNoOverlap(t *testing.T) {
	s := &story{now: time.Second}
	s.turn("client-0", 1, 0, 3, true)
	s.turn("client-1", 2, time.Second, 3, false)
	asked := s.find(history.Got, 0)
	asked.What, asked.T = history.Checked, s.find(history.Got, 1).T-1
	s.tell(asked) // written late
	require.Empty(t, check.All(history.Of(s.events...), check.Bounds{}))
	asked.T += 2
	s.tell(asked)
	require.NotEmpty(t, check.All(history.Of(s.events...), check.Bounds{}))
}

// TestSessionsAreAsked: one that its owner has closed, or that was told in time,
// is not objected to, and nobody waits for it.
func TestSessionsAreAsked(t *testing.T) {
	s := plain()
	s.asks("client-0", "abc", 0, s.now)
	s.tell(history.Event{T: s.now + 1, Proc: history.Server, What: history.Deleted, Name: "p/session/abc"})
	s.tell(history.Event{T: time.Second, Proc: history.Server, What: history.Deleted, Name: "p/mutex/l/abc"})
	s.tell(history.Event{T: time.Second, Proc: history.Server, What: history.Deleted, Name: "p/session/another"})
	require.Empty(t, check.All(history.Of(s.events...), check.Bounds{Liveness: true}))
}

// TestDeadInLine: one that was killed while it waited keeps all behind it
// waiting until its lease ends; what is given back meanwhile is not lost.
func TestDeadInLine(t *testing.T) {
	s := plain()
	plants["a lost unlock"].plant(s)
	gave := s.find(history.Gave, 15)
	for i, w := range []history.What{history.Begin, history.Effect, history.Stop} {
		s.tell(history.Event{T: gave.T - time.Second + time.Duration(i), Proc: history.Nemesis, What: w, Name: "kill", Value: "client-2"})
	}
	require.Empty(t, check.All(history.Of(s.events...), check.Bounds{Liveness: true}))
}

// TestPicture: porcupine's page is written, for a good and for a bad one.
func TestPicture(t *testing.T) {
	s := plain()
	plants["two believe at once"].plant(s)
	for name, h := range map[string]*history.History{"good": history.Of(plain().events...), "bad": history.Of(s.events...)} {
		file := filepath.Join(t.TempDir(), name+".html")
		require.NoError(t, check.Picture(h, history.Mutex, "l", file))
		page, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(page), "cut on client-1")
	}
	require.Error(t, check.Picture(history.Of(s.events...), history.Mutex, "another", "unused.html"))
}

// find returns the n-th event of a kind.
func (s *story) find(w history.What, n int) history.Event {
	for _, e := range s.events {
		if e.What == w {
			if n == 0 {
				return e
			}
			n--
		}
	}
	panic("no such event")
}

func (s *story) change(f func(*history.Event)) {
	for i := range s.events {
		f(&s.events[i])
	}
}

func (s *story) drop(w history.What, n int) {
	for i, e := range s.events {
		if e.What == w {
			if n == 0 {
				s.events = append(s.events[:i:i], s.events[i+1:]...)
				return
			}
			n--
		}
	}
}

// cut ends the story.
func (s *story) cut(at time.Duration) {
	var kept []history.Event
	for _, e := range s.events {
		if e.T <= at {
			kept = append(kept, e)
		}
	}
	s.events = kept
}
