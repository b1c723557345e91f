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

// A calm is the time from the end of a nemesis until the next one begins, or
// until the run ends.
type calm struct {
	after    *history.Window
	from, to time.Duration
	last     bool // no other nemesis ends it
}

// calms are all there are. While another nemesis is at work there is none.
func (r *run) calms() (all []calm) {
	for _, w := range r.windows {
		c := calm{after: w, from: w.To, to: r.end, last: true}
		busy := w.To == 0
		for _, o := range r.windows {
			switch {
			case o.From > w.To:
				c.to, c.last = min(c.to, o.From), false
			case o != w && (o.To == 0 || o.To > w.To):
				busy = true
			}
		}
		if !busy {
			all = append(all, c)
		}
	}
	return all
}

// heal: after a nemesis each place that is wanted is held again, in time, and is
// not lost again later. It has to be held before the next nemesis begins: a run
// has to wait for that. If the nemeses leave no quorum, nothing is due before the
// last of them is over.
func heal(r *run) (found []Violation) {
	for _, c := range r.calms() {
		if !r.Liveness && !c.last {
			continue
		}
		for _, places := range r.names {
			if s, ok := r.unheld(places, c); ok {
				found = append(found, Violation{Name: title(places[0]), From: s.from, To: s.to,
					Text: fmt.Sprintf("wanted, and nobody has it for %v after the end of %s", s.to-s.from, c.after.Name)})
			}
		}
	}
	return found
}

type stretch struct{ from, to time.Duration }

// moment is what may lie between two tries of one who wants a place all the time.
const moment = 200 * time.Millisecond

// unheld returns the first stretch of a calm in which nobody had a place for too
// long, although it was wanted.
func (r *run) unheld(places []*history.Place, c calm) (stretch, bool) {
	for _, g := range gaps(places, c.from, c.to) {
		never := g.from == c.from && g.to == c.to
		for _, s := range wanted(places, g) {
			long, cut := s.to-s.from-r.stalled(s.from, s.to), s.to == c.to // nobody knows how long it would have been
			// Who ends a run ends the waits first, so its end alone says nothing, but
			// where the run had to wait for progress.
			moved := never && (r.Liveness || !c.last) && s.from <= g.from+moment && s.to+moment >= g.to
			if long > r.Heal || cut && long >= r.Heal || moved {
				return s, true
			}
		}
	}
	return stretch{}, false
}

// gaps are the stretches in which nobody had a place and knew it.
func gaps(places []*history.Place, from, to time.Duration) (all []stretch) {
	var holders []*history.Place
	for _, p := range places {
		if p.Got && p.First > 0 && p.First <= to {
			holders = append(holders, p)
		}
	}
	slices.SortFunc(holders, func(a, b *history.Place) int { return cmp.Compare(a.First, b.First) })
	free := from
	for _, p := range holders {
		if p.First > free {
			all = append(all, stretch{free, p.First})
		}
		free = max(free, p.Last)
	}
	if free < to {
		all = append(all, stretch{free, to})
	}
	return all
}

// wanted are the stretches within another in which there was always somebody who
// waited, in a process that lived, but for moments between two tries.
func wanted(places []*history.Place, in stretch) (all []stretch) {
	tries := slices.Clone(places)
	slices.SortFunc(tries, func(a, b *history.Place) int { return cmp.Compare(a.Called, b.Called) })
	for _, p := range tries {
		s := stretch{max(p.Called, in.from), min(wants(p), in.to)}
		if p.Called == 0 || s.to <= s.from {
			continue
		}
		if last := len(all) - 1; last >= 0 && s.from <= all[last].to+moment {
			all[last].to = max(all[last].to, s.to)
		} else {
			all = append(all, s)
		}
	}
	return all
}
