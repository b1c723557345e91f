// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// vacuous: a run in which nothing happened proves nothing.
func vacuous(r *run) (found []Violation) {
	few := func(n int, from, to time.Duration, of string) {
		if n < r.Bounds.Got {
			found = append(found, Violation{Name: "run", From: from, To: to, Text: fmt.Sprintf("%d %s, fewer than %d", n, of, r.Bounds.Got)})
		}
	}
	if len(r.windows) == 0 {
		if r.Has(history.Nemesis) {
			found = append(found, Violation{Name: "run", To: r.end, Text: "no nemesis was at work"})
		}
		return found // what is no run need not prove anything
	}
	first, got := r.windows[0].From, 0
	for _, p := range r.places {
		if p.Got && p.Ended < first {
			got++
		}
	}
	few(got, 0, first, "places got before the first nemesis")
	for _, judged := range r.material() {
		few(judged.n, 0, r.end, judged.of)
	}
	if r.Liveness {
		before, after := r.handOvers(first)
		few(before, 0, first, "hand-overs judged before the first nemesis")
		if last, ok := r.calmFrom(); ok && r.end-last > r.Lease+3*time.Second {
			few(after, last, r.end, "hand-overs judged after the last nemesis")
		}
	}
	for _, w := range r.windows {
		if len(w.Effects) == 0 {
			found = append(found, Violation{Name: w.Name, From: w.From, To: w.To, Text: "has had no effect on " + w.On})
		}
	}
	return found
}

type amount struct {
	n  int
	of string
}

// material is how much there was for the rules that are not about places, as far
// as the run had it.
func (r *run) material() (all []amount) {
	type try struct {
		proc string
		id   uint64
	}
	asked := map[try]bool{}
	for _, p := range r.asked {
		asked[try{p.Proc, p.ID}] = true
	}
	var writes, puts, saws, yes int
	observers := false
	for _, e := range r.Events {
		switch e.What {
		case history.Wrote:
			writes++
		case history.Put:
			puts++
		case history.Saw:
			saws++
			observers = true
		case history.Ended:
			observers = true
		case history.Checked:
			if asked[try{e.Proc, e.ID}] {
				yes++
			}
		}
	}
	if r.Has(history.Resource) {
		all = append(all, amount{writes, "writes that the resource took"})
	}
	if r.Has(history.Server) {
		all = append(all, amount{puts, "keys that the servers had"})
	}
	if observers {
		all = append(all, amount{saws, "leaders shown to observers"})
	}
	if len(asked) > 0 {
		all = append(all, amount{yes, "times a session was asked, and was alive"})
	}
	return all
}

// handOvers counts those that the unlock rule has judged, before the first
// nemesis and after the last one.
func (r *run) handOvers(first time.Duration) (before, after int) {
	last, over := r.calmFrom()
	for _, t := range r.passed {
		switch {
		case t < first:
			before++
		case over && t > last:
			after++
		}
	}
	return before, after
}
