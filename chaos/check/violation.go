// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// A Violation is one thing that must not be.
type Violation struct {
	Rule string
	Name string        // of the place, or whatever it is about
	From time.Duration // when, as the history tells the time
	To   time.Duration
	Text string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: %s: %s (%v to %v)", v.Rule, v.Name, v.Text, v.From, v.To)
}

// Bounds are within what time things have to happen. Zero values mean the
// defaults.
type Bounds struct {
	Wait     time.Duration // from the end of a context to that of its wait: 1 s
	HandOver time.Duration // from giving back until the next one has it: 1 s
	Heal     time.Duration // after a nemesis, so long may a place that is wanted be held by nobody: 10 s
	Lease    time.Duration // for so long the place of a dead process stays at most: 5 s
	Got      int           // of all that is judged there must be so much at least: 10
	// Liveness says that the nemeses kept a quorum and that progress is due.
	Liveness bool
}

func (b Bounds) withDefaults() Bounds {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&b.Wait, time.Second)
	set(&b.HandOver, time.Second)
	set(&b.Heal, 10*time.Second)
	set(&b.Lease, 5*time.Second)
	if b.Got == 0 {
		b.Got = 10
	}
	return b
}

// A Rule is one thing that a history must show.
type Rule struct {
	Name     string
	liveness bool
	check    func(*run) []Violation
}

// Rules are all rules.
var Rules = []Rule{
	{Name: "overlap", check: overlap},
	{Name: "order", check: order},
	{Name: "fence", check: fence},
	{Name: "unlock", check: unlock, liveness: true},
	{Name: "wait", check: waits},
	{Name: "heal", check: heal},
	{Name: "observe", check: observe},
	{Name: "expired", check: expired},
	{Name: "left", check: left},
	{Name: "lives", check: lives},
	{Name: "errors", check: errorsTold},
	{Name: "linear", check: linear},
	{Name: "vacuous", check: vacuous},
}

// run is a history, taken apart.
type run struct {
	*history.History
	Bounds
	places  []*history.Place // but those of sessions
	asked   []*history.Place // of sessions
	names   map[[2]string][]*history.Place
	windows []*history.Window
	lives   history.Lives
	lost    []time.Duration // sessions
	stalls  []stretch       // times in which the machine stood still
	passed  []time.Duration // hand-overs that the unlock rule has judged
	start   time.Duration
	end     time.Duration
}

// All judges a history by all rules that its mode has. What it finds is in
// their order, and of each in that of time.
func All(h *history.History, b Bounds) []Violation {
	r := &run{History: h, Bounds: b.withDefaults(), windows: h.Windows(), lives: h.Lives(), stalls: stalls(h.Events)}
	for _, p := range h.Places() {
		if p.Kind == history.Session {
			r.asked = append(r.asked, p)
		} else {
			r.places = append(r.places, p)
		}
	}
	r.names = history.Names(r.places)
	for _, e := range h.Events {
		if e.What == history.State && e.Value == "lost" {
			r.lost = append(r.lost, e.T)
		}
	}
	if n := len(h.Events); n > 0 {
		r.start, r.end = h.Events[0].T, h.Events[n-1].T
	}
	var all []Violation
	for _, rule := range Rules {
		if rule.liveness && !b.Liveness {
			continue
		}
		found := rule.check(r)
		slices.SortFunc(found, func(a, b Violation) int { // some go through maps
			return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Text, b.Text))
		})
		for _, v := range found {
			v.Rule = rule.Name
			all = append(all, v)
		}
	}
	return all
}

func title(p *history.Place) string { return p.Kind + " " + p.Name }

func who(p *history.Place) string { return fmt.Sprintf("%s with token %d", p.Proc, p.Token) }
