// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package picture

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// A section is all pictures of one name.
type section struct {
	ID, Title, Summary, Note string
	Views                    []*view

	bare     string // the name without its kind
	places   []*history.Place
	bad      []*bad
	overlaps []overlap
}

// Open says whether readers should see it at once.
func (s *section) Open() bool { return len(s.bad)+len(s.overlaps) > 0 }

const (
	around    = 10 * time.Second // on either side of a violation
	brief     = 5 * time.Second  // what is longer needs no close-up
	closest   = 150 * time.Millisecond
	maxNear   = 12 // close-ups of a name
	maxAround = 6  // their surroundings
)

// A stretch is a piece of the run's time.
type stretch struct{ from, to time.Duration }

// fill chooses what to show of a name, and draws it.
func (r *run) fill(s *section) {
	got, procs := 0, map[string]bool{}
	for _, p := range s.places {
		procs[p.Proc] = true
		if p.Got {
			got++
		}
	}
	s.Summary = fmt.Sprintf("%s by %s, %d of them got it", count(len(s.places), "try", "tries"), count(len(procs), "process", "processes"), got)
	if n := len(s.bad); n > 0 {
		s.Summary = count(n, "violation", "violations") + "; " + s.Summary
	}
	var near, wide []stretch
	for _, at := range s.where() {
		if d := at.to - at.from; d < brief {
			pad := max(d, closest)
			near = append(near, r.cut(at, pad))
		}
		wide = append(wide, r.cut(at, around))
	}
	near, wide = merge(near, brief), merge(wide, r.end-r.start)
	drawn := map[*history.Place]bool{}
	add := func(what string, at stretch) {
		s.Views = append(s.Views, r.draw(s, what, at, drawn))
	}
	for _, at := range near[:min(len(near), maxNear)] {
		add("Close-up", at)
	}
	whole := stretch{r.start, r.end}
	for _, at := range wide[:min(len(wide), maxAround)] {
		if at != whole {
			add("Around it", at)
		}
	}
	add("The whole run", whole)
	link(s.bad, s.ID) // those of the whole run, and those that have found no room
	if left := len(near) - maxNear; left > 0 {
		s.Note += fmt.Sprintf("Left out: %s. ", count(left, "more close-up", "more close-ups"))
	}
	if left := len(wide) - maxAround; left > 0 {
		s.Note += fmt.Sprintf("Left out: the surroundings of %s. ", count(left, "more", "more"))
	}
	if left := len(s.places) - len(drawn); left > 0 {
		s.Note += fmt.Sprintf("Of %s, %d are drawn coarsely only: bars that touch are one, waits are left out.",
			count(len(s.places), "try", "tries"), left)
	}
}

// where are the times to look at.
func (s *section) where() (at []stretch) {
	for _, b := range s.bad {
		if !b.all {
			at = append(at, stretch{b.From, b.To})
		}
	}
	for _, o := range s.overlaps {
		at = append(at, stretch{o.from, o.to})
	}
	return at
}

// cut widens a stretch, within the run.
func (r *run) cut(at stretch, by time.Duration) stretch {
	return stretch{max(r.start, at.from-by), min(r.end, at.to+by)}
}

// merge joins those that meet, unless that gets too long.
func merge(all []stretch, longest time.Duration) (merged []stretch) {
	slices.SortFunc(all, func(a, b stretch) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	for _, at := range all {
		if n := len(merged) - 1; n >= 0 && at.from <= merged[n].to {
			if to := max(at.to, merged[n].to); to == merged[n].to || to-merged[n].from <= longest {
				merged[n].to = to
				continue
			}
		}
		merged = append(merged, at)
	}
	return merged
}

// mostNames are in the overview.
const mostNames = 15

// overview draws the run in one strip, a lane for each name.
func (r *run) overview(p *page) {
	v := r.newView("", stretch{r.start, r.end})
	shown := p.Sections[:min(len(p.Sections), mostNames)]
	if left := len(p.Sections) - len(shown); left > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s not in the strip above.", count(left, "more name is", "more names are")))
	}
	for _, s := range shown {
		y := v.lane(s.Title, 1)
		v.bars(s.places, y)
	}
	for _, s := range shown {
		y := v.Lanes[slices.Index(shown, s)].Y
		for _, o := range s.overlaps[:min(len(s.overlaps), mostOverlaps)] {
			v.overlap(o, y, y)
		}
	}
	v.finish()
	v.marks(p.Bad)
	link(p.Bad, "run")
	p.Overview = v
}

// link has those lead somewhere that do not yet.
func link(all []*bad, where string) {
	for _, b := range all {
		if b.Link == "" {
			b.Link = where
		}
	}
}
