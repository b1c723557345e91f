// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
)

// A story is a history that is as it should be: processes take turns with one
// lock, and each turn ends in one of the ways that turns end.
type story struct {
	events []history.Event
	now    time.Duration
	token  uint64
}

func (s *story) tell(e history.Event) { s.events = append(s.events, e) }

// turn has a process hold the lock for a number of questions.
func (s *story) turn(proc string, id uint64, waited time.Duration, asked int, lost bool) {
	s.token += 3
	place := history.Event{Proc: proc, Kind: history.Mutex, Name: "l", ID: id, Token: s.token}
	at := func(t time.Duration, w history.What) history.Event {
		e := place
		e.T, e.What = t, w
		return e
	}
	s.tell(at(max(0, s.now-waited), history.Call))
	s.now += time.Millisecond
	s.tell(at(s.now, history.Got))
	s.tell(at(s.now, history.Working))
	for range asked {
		s.now += time.Millisecond
		s.tell(at(s.now, history.Checked))
		s.tell(history.Event{T: s.now, Proc: history.Resource, What: history.Wrote, Name: "r", Token: s.token, Value: proc})
	}
	s.now += time.Millisecond
	if lost {
		e := at(s.now, history.Lost)
		e.Err = "session lost"
		s.tell(e)
		s.tell(at(s.now+time.Second, history.Rested)) // ours to warn, not to forbid
		s.now += time.Second
		return
	}
	s.tell(at(s.now, history.Rested))
	s.tell(at(s.now, history.Give))
	s.now += time.Millisecond
	s.tell(at(s.now, history.Gave))
}

// asks has a process ask its session at these times, and be told yes.
func (s *story) asks(proc, session string, at ...time.Duration) {
	e := history.Event{T: at[0], Proc: proc, What: history.Call, Kind: history.Session, Name: session, ID: 77}
	s.tell(e)
	for _, e.T = range at {
		e.What = history.Checked
		s.tell(e)
	}
}

// believes has a session be told yes so long after the server has ended it.
func (s *story) believes(after time.Duration) {
	const ended = 5 * time.Second
	s.has(10)
	s.asks("client-0", "abc", 1, 2, 3, 4, 5, 6, 7, 8, 9, ended+after)
	for i, key := range []string{"p/mutex/abc", "p/inbox/abc", "p/session/abc"} {
		s.tell(history.Event{T: ended - 1 + time.Duration(i), Proc: history.Server, What: history.Deleted, Name: key})
	}
}

// has has the servers have so many keys.
func (s *story) has(n int) {
	for range n {
		s.tell(history.Event{T: time.Second, Proc: history.Server, What: history.Put, Name: "k"})
	}
}

// drawStory draws one of some turns at least.
func drawStory(t *rapid.T, least int) *story {
	s := &story{now: time.Second}
	turns := rapid.IntRange(least, 20).Draw(t, "turns")
	for i := range turns {
		s.turn(
			fmt.Sprint("client-", rapid.IntRange(0, 3).Draw(t, "client")), uint64(i+1),
			time.Duration(rapid.IntRange(0, 50).Draw(t, "waited"))*time.Millisecond,
			rapid.IntRange(0, 5).Draw(t, "asked"), rapid.Bool().Draw(t, "lost"))
	}
	return s
}

// plain is a story that does not depend on chance: twelve turns of three
// clients, a nemesis, and twelve turns long after it.
func plain() *story { return tale(12, 12) }

// tale is one of so many turns before and after its nemesis.
func tale(before, after int) *story {
	s := &story{now: time.Second}
	id := uint64(0)
	turns := func(n int) {
		for range n {
			id++
			s.turn(fmt.Sprint("client-", id%3), id, 5*time.Millisecond, 3, false)
		}
	}
	turns(before)
	s.now += time.Second
	s.nemesis("cut", "client-1", s.now, s.now+5*time.Second)
	s.now += 25 * time.Second
	turns(after)
	s.now += 20 * time.Second
	s.tell(history.Event{T: s.now, Proc: "client-0", What: history.End})
	return s
}

// nemesis has one at work, with an effect; one without an end never ends.
func (s *story) nemesis(name, on string, from, to time.Duration) {
	e := history.Event{T: from, Proc: history.Nemesis, What: history.Begin, Name: name, Value: on}
	s.tell(e)
	e.What = history.Effect
	s.tell(e)
	if to > 0 {
		e.T, e.What = to, history.Stop
		s.tell(e)
	}
}

// does tells of a try with one lock of another name, its number the name's.
func (s *story) does(proc, name string, t time.Duration, what history.What) *history.Event {
	return s.tries(proc, name, uint64(len(name)*1000+len(proc)), t, what)
}

// tries tells of one try.
func (s *story) tries(proc, name string, id uint64, t time.Duration, what history.What) *history.Event {
	s.tell(history.Event{T: t, Proc: proc, What: what, Kind: history.Mutex, Name: name, ID: id})
	e := &s.events[len(s.events)-1]
	if what == history.Got {
		s.token++
		e.Token = s.token
	}
	return e
}

// paces has a process ask at its pace for its session.
func (s *story) paces(proc string, from, to time.Duration) {
	for t := from; t < to; t += 5 * time.Millisecond {
		s.tell(history.Event{T: t, Proc: proc, What: history.Checked, Kind: history.Session, Name: "session of " + proc, ID: 9})
	}
	s.tell(history.Event{T: to, Proc: proc, What: history.Checked, Kind: history.Session, Name: "session of " + proc, ID: 9})
}

// silence has two processes ask, but for a time.
func (s *story) silence(from, to time.Duration) {
	for _, proc := range []string{"client-1", "client-2"} {
		s.paces(proc, from-sec, from)
		s.paces(proc, to, to+2*sec)
	}
}

// holds has a process hold a lock that nobody has called for.
func (s *story) holds(proc, name string, id uint64, from, to time.Duration) {
	s.tries(proc, name, id, from, history.Got)
	s.tries(proc, name, id, from, history.Checked)
	s.tries(proc, name, id, to, history.Checked)
	s.tries(proc, name, id, to, history.Give)
	s.tries(proc, name, id, to, history.Gave)
}

// sees has an observer be shown these tokens, a nanosecond apart.
func (s *story) sees(proc, name string, t time.Duration, tokens ...uint64) {
	for i, token := range tokens {
		s.tell(history.Event{T: t + time.Duration(i), Proc: proc, What: history.Saw, Name: name, Token: token})
	}
}

// leads has somebody lead, who says nothing more.
func (s *story) leads(name string, token uint64, t time.Duration) {
	s.tell(history.Event{T: t, Proc: "client-1", What: history.Got, Kind: history.Election, Name: name, ID: 5000 + token, Token: token})
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

// rules are those that convict it.
func (s *story) rules(b check.Bounds) map[string]bool {
	rules := map[string]bool{}
	for _, v := range check.All(history.Of(s.events...), b) {
		rules[v.Rule] = true
	}
	return rules
}
