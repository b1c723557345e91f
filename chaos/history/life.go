// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package history

import "time"

// A Life is one of a process: who is killed and comes back has another.
type Life struct {
	Proc     string
	Number   int           // 1 is the first
	Born     bool          // it has told of its begin
	From, To time.Duration // its first and its last event
	Ended    time.Duration // when it ended in order, or 0
}

// Lives are those of each process, in their order. A process that has told of no
// begin at all has one: older histories know nothing of lives.
type Lives map[string][]*Life

// Lives tells the lives of all processes.
func (h *History) Lives() Lives {
	lives := Lives{}
	for _, e := range h.Events {
		of := lives[e.Proc]
		if len(of) == 0 || e.What == Born {
			of = append(of, &Life{Proc: e.Proc, Number: len(of) + 1, Born: e.What == Born, From: e.T})
			lives[e.Proc] = of
		}
		l := of[len(of)-1]
		l.To = e.T
		if e.What == End {
			l.Ended = e.T
		}
	}
	return lives
}

// Of is the life in which an event happened, or nil if that is of another history.
func (l Lives) Of(e Event) *Life {
	var of *Life
	for _, life := range l[e.Proc] {
		if life.From <= e.T {
			of = life
		}
	}
	return of
}
