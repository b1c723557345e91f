// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

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
// clients, a nemesis, and four turns after it.
func plain() *story {
	s := &story{now: time.Second}
	id := uint64(0)
	turns := func(n int) {
		for range n {
			id++
			s.turn(fmt.Sprint("client-", id%3), id, 5*time.Millisecond, 3, false)
		}
	}
	turns(12)
	s.now += time.Second
	nemesis := history.Event{T: s.now, Proc: history.Nemesis, What: history.Begin, Name: "cut", Value: "client-1"}
	s.tell(nemesis)
	nemesis.What, nemesis.T = history.Effect, s.now+time.Second
	s.tell(nemesis)
	s.now += 5 * time.Second
	nemesis.What, nemesis.T = history.Stop, s.now
	s.tell(nemesis)
	s.now += 6 * time.Second
	turns(4)
	s.now += 20 * time.Second
	s.tell(history.Event{T: s.now, Proc: "client-0", What: history.End})
	return s
}
