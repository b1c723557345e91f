// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package picture

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// finish adds what all views have, when all lanes are there.
func (v *view) finish() {
	v.Foot += gap / 2
	v.H = v.Foot + 20
	v.ticks()
	v.nemeses()
}

// ticks draws the scale, at round numbers.
func (v *view) ticks() {
	length := (v.at.to - v.at.from).Seconds()
	if length <= 0 {
		v.Ticks = append(v.Ticks, label{v.x(v.at.from), v.Foot + 14, v.run.at(v.at.from)})
		return
	}
	step, places := scale(length / 10)
	origin := v.run.start.Seconds()
	first := math.Ceil((v.at.from.Seconds() - origin) / step)
	for i := range 50 {
		t := (first + float64(i)) * step
		at := v.run.start + time.Duration(math.Round(t*1e9))
		if at > v.at.to {
			break
		}
		v.Ticks = append(v.Ticks, label{v.x(at), v.Foot + 14, fmt.Sprintf("%.*f s", places, t)})
	}
}

// scale returns the next of 1, 2, 5, 10, ... and how many decimals it has.
func scale(least float64) (step float64, places int) {
	power := math.Floor(math.Log10(least))
	unit := math.Pow(10, power)
	places = max(0, -int(power))
	for _, n := range []float64{1, 2, 5} {
		if n*unit >= least {
			return n * unit, places
		}
	}
	return 10 * unit, max(0, places-1)
}

// nemeses shades the time of each, and names it where there is room.
func (v *view) nemeses() {
	var free [2]float64 // of each line of names
	for _, w := range v.run.windows {
		over := v.run.over(w)
		if !v.shows(w.From, over) {
			continue
		}
		x, width := v.stretch(w.From, over, smallest)
		name := clean(w.Name)
		if w.On != "" {
			name += " on " + clean(w.On)
		}
		b := &band{X: x, W: width, Title: name + ", " + v.run.when(w.From, over)}
		if w.To == 0 {
			b.Title += ", never stopped"
		}
		for _, e := range w.Effects {
			b.Title += "; " + clean(e)
		}
		if i := slices.IndexFunc(v.Lanes, func(l lane) bool { return l.Label == w.On }); i >= 0 {
			b.On = &v.Lanes[i]
		}
		for line := range free {
			if at := min(x, max(left, v.Width-right-long(name))); at >= free[line] {
				b.Label, b.LabelX, b.Y = name, at, lineH*float64(2-line)-2
				free[line] = at + long(name) + 8
				break
			}
		}
		v.Bands = append(v.Bands, b)
	}
}

// marks draws where violations are. The first place of each is where the list
// leads to.
func (v *view) marks(all []*bad) {
	free := 0.0
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b *bad) int { return cmp.Compare(a.From, b.From) })
	for _, b := range sorted {
		if b.all || b.N > maxListed || !v.shows(b.From, b.To) || len(v.Marks) == mostMarks {
			continue
		}
		x, w := v.stretch(b.From, b.To, redLeast)
		m := mark{N: b.N, X: x, W: w, Title: fmt.Sprintf("%d. %s: %s, %s", b.N, b.Rule, b.Text, b.When)}
		if b.Link == "" {
			b.Link = fmt.Sprint("at-", b.N)
			m.ID = b.Link
		}
		if at := max(x+w/2, free); at <= x+w+aside {
			m.Pill, m.PillX, m.PillW = true, round(at), max(17, long(fmt.Sprint(b.N))+6)
			free = at + m.PillW + 2
		}
		v.Marks = append(v.Marks, m)
	}
	v.crop()
}

// aside is how far from what it marks a number may be.
const aside = 60.0

// crop takes away the lines of the header in which there is nothing.
func (v *view) crop() {
	highest := header // a name's upper edge
	down := 0.0
	if len(v.Marks) == 0 {
		down = pills
	}
	for _, b := range v.Bands {
		if b.Y += down; b.Label != "" {
			highest = min(highest, b.Y-lineH+2)
		}
	}
	if len(v.Marks) > 0 {
		highest = min(highest, header-pills)
	}
	v.Skip = highest
	v.H -= v.Skip
}
