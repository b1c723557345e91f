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
	Heal     time.Duration // from the end of a nemesis until each place is held: 10 s
	Lease    time.Duration // for so long the place of a dead process stays at most: 5 s
	Got      int           // places got before the first nemesis, and hand-overs that must be judged: 10
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
	{Name: "heal", check: heal, liveness: true},
	{Name: "observe", check: observe},
	{Name: "expired", check: expired},
	{Name: "left", check: left},
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
	passed  int                      // hand-overs that the unlock rule has judged
	ended   map[string]time.Duration // each process's last event
	end     time.Duration
}

// All judges a history by all rules that its mode has. What it finds is in
// their order, and of each in that of time.
func All(h *history.History, b Bounds) []Violation {
	r := &run{History: h, Bounds: b.withDefaults(), windows: h.Windows(), ended: map[string]time.Duration{}}
	for _, p := range h.Places() {
		if p.Kind == history.Session {
			r.asked = append(r.asked, p)
		} else {
			r.places = append(r.places, p)
		}
	}
	r.names = history.Names(r.places)
	for _, e := range h.Events {
		r.ended[e.Proc] = max(r.ended[e.Proc], e.T)
		r.end = max(r.end, e.T)
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

// hit says whether some nemesis was at work between two times.
func (r *run) hit(from, to time.Duration) bool {
	for _, w := range r.windows {
		if w.From <= to && (w.To == 0 || w.To >= from) {
			return true
		}
	}
	return false
}
