// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"cmp"
	"slices"
	"time"
)

// A Place is what became of one try to get a lock or a term. Times that are
// zero never were.
type Place struct {
	Kind, Name, Proc string
	ID, Token        uint64
	Life             *Life // in which it was tried

	Called   time.Duration
	Canceled time.Duration // the wait's context ended
	Ended    time.Duration // the wait ended, with or without the place
	Got      bool

	First, Last    time.Duration // of the questions that were answered with yes
	Lost           time.Duration // was told no
	Working        time.Duration
	Rested         time.Duration
	Give, Gave     time.Duration
	Err            string // of the wait or of giving back
	Unacknowledged bool   // giving it back was not confirmed
}

// Over is when the process had certainly stopped believing, or 0.
func (p *Place) Over() time.Duration {
	if p.Lost == 0 || p.Give > 0 && p.Give < p.Lost {
		return p.Give
	}
	return p.Lost
}

// Places returns all tries by the order of their tokens; those that got none
// are last, by the time of the call.
func (h *History) Places() []*Place {
	type key struct {
		proc string
		id   uint64
	}
	byID := map[key]*Place{}
	var all []*Place
	lives := h.Lives()
	for _, e := range h.Events {
		if e.ID == 0 {
			continue
		}
		k := key{e.Proc, e.ID}
		p := byID[k]
		if p == nil {
			p = &Place{Proc: e.Proc, ID: e.ID, Life: lives.Of(e)}
			byID[k] = p
			all = append(all, p)
		}
		p.take(e)
	}
	slices.SortStableFunc(all, func(a, b *Place) int {
		if a.Got != b.Got {
			if a.Got {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Token, b.Token), cmp.Compare(a.Called, b.Called))
	})
	return all
}

func (p *Place) take(e Event) {
	if e.Kind != "" {
		p.Kind, p.Name = e.Kind, e.Name
	}
	switch e.What {
	case Call:
		p.Called = e.T
	case Cancel:
		p.Canceled = e.T
	case Got:
		p.Ended, p.Got, p.Token = e.T, true, e.Token
	case Failed:
		p.Ended, p.Err = e.T, e.Err
	case Checked:
		if p.First == 0 || e.T < p.First {
			p.First = e.T
		}
		p.Last = max(p.Last, e.T)
	case Lost:
		p.Lost = e.T
	case Working:
		p.Working = e.T
	case Rested:
		p.Rested = e.T
	case Give:
		p.Give = e.T
	case Gave:
		p.Gave, p.Err, p.Unacknowledged = e.T, e.Err, e.Err != ""
	}
}

// Names groups places by kind and name, each group in their order.
func Names(all []*Place) map[[2]string][]*Place {
	names := map[[2]string][]*Place{}
	for _, p := range all {
		k := [2]string{p.Kind, p.Name}
		names[k] = append(names[k], p)
	}
	return names
}

// A Window is the time in which a nemesis was at work.
type Window struct {
	Name, On string
	From, To time.Duration // To is 0 if it never ended
	Effects  []string
}

// Windows returns all nemeses in the order in which they began.
func (h *History) Windows() []*Window {
	var all []*Window
	open := map[string]*Window{}
	for _, e := range h.Events {
		if e.Proc != Nemesis {
			continue
		}
		switch e.What {
		case Begin:
			w := &Window{Name: e.Name, On: e.Value, From: e.T}
			all, open[e.Name] = append(all, w), w
		case Effect:
			if w := open[e.Name]; w != nil {
				w.Effects = append(w.Effects, e.Value)
			}
		case Stop:
			if w := open[e.Name]; w != nil {
				w.To = e.T
			}
		}
	}
	return all
}
