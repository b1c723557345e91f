// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package picture

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/quorate/quorate/chaos/history"
)

// A view is one SVG: lanes below each other, time from left to right.
type view struct {
	What, When string
	Width, H   float64
	Skip       float64 // of the header, which is not needed
	Top, Foot  float64 // of the lanes
	Lanes      []lane
	Ticks      []label
	Bands      []*band
	Waits      []box
	Thins      []box
	Bars       []box
	Paths      []string
	Overlaps   []clash
	Tokens     []label
	Marks      []mark
	Note       string

	run *run
	at  stretch
}

type (
	lane struct {
		Y, H, Mid float64
		Label     string
	}
	label struct {
		X, Y float64
		Text string
	}
	box struct {
		X, Y, W, H float64
		Title      string
		Odd        bool
	}
	band struct {
		X, W, Y, LabelX float64
		Label, Title    string
		On              *lane
	}
	clash struct {
		X, W, Y, H float64
		Parts      []box
		Title      string
	}
	mark struct {
		N            int
		X, W         float64
		Pill         bool
		PillX, PillW float64
		ID, Title    string
	}
)

const (
	width    = 1200.0
	left     = 120.0 // of it are for the lanes' names
	right    = 14.0
	lineH    = 13.0
	pills    = 24.0
	header   = 2*lineH + pills // two lines of nemeses, one of violations
	rowH     = 20.0
	barH     = 14.0
	gap      = 6.0 // between lanes
	letter   = 6.6 // a digit's width
	smallest = 1.5 // what is shorter could not be seen
	redLeast = 3.0

	mostRows     = 4   // of a process that does several things at once
	mostDetail   = 600 // tries drawn one by one in one view
	mostOverlaps = 300
	mostMarks    = 100
	mostLanes    = 60
)

func (r *run) newView(what string, at stretch) *view {
	return &view{What: what, When: r.when(at.from, at.to), Width: width, Top: header, Foot: header + gap/2, run: r, at: at}
}

// x is where a time is.
func (v *view) x(t time.Duration) float64 {
	t = min(max(t, v.at.from), v.at.to)
	return round(left + (width-left-right)*float64(t-v.at.from)/float64(max(1, v.at.to-v.at.from)))
}

// stretch is where it is, and how wide: never so narrow that it cannot be seen.
func (v *view) stretch(from, to time.Duration, least float64) (x, w float64) {
	x = v.x(from)
	w = max(least, round(v.x(to)-x))
	return min(x, round(width-right-w)), w
}

func round(x float64) float64 { return math.Round(x*10) / 10 }

// lane adds one, and returns where it begins.
func (v *view) lane(name string, rows int) float64 {
	y, h := v.Foot, gap+rowH*float64(rows)
	const longest = 17
	name = clean(name)
	if c := []rune(name); len(c) > longest {
		name = string(c[:longest-1]) + "…"
	}
	v.Lanes = append(v.Lanes, lane{Y: y, H: h, Mid: y + h/2 + 4, Label: name})
	v.Foot += h
	return y
}

func (v *view) shows(from, to time.Duration) bool { return from <= v.at.to && to >= v.at.from }

// draw draws a stretch of a name: each try by itself, if there are not too many.
func (r *run) draw(s *section, what string, at stretch, drawn map[*history.Place]bool) *view {
	v := r.newView(what, at)
	byProc, n := map[string][]*history.Place{}, 0
	for _, p := range s.places {
		if from, to := r.span(p); v.shows(from, to) {
			byProc[p.Proc] = append(byProc[p.Proc], p)
			n++
		}
	}
	fine := n <= mostDetail && r.spent+n <= budget
	if !fine {
		v.Note = fmt.Sprintf("Coarse: %d tries. Bars that touch are one, waits are left out.", n)
	}
	var procs []string
	for proc := range byProc {
		procs = append(procs, proc)
	}
	slices.SortFunc(procs, natural)
	if len(procs) > mostLanes {
		v.Note += fmt.Sprintf(" %d more processes are left out.", len(procs)-mostLanes)
		procs = procs[:mostLanes]
	}
	row := map[*history.Place]float64{} // where each is
	for _, proc := range procs {
		if !fine {
			y := v.lane(proc, 1)
			v.bars(byProc[proc], y)
			for _, p := range byProc[proc] {
				row[p] = y
			}
			continue
		}
		rows, used := r.rows(byProc[proc])
		y := v.lane(proc, used)
		for _, p := range byProc[proc] {
			row[p] = y + rowH*float64(rows[p])
			v.try(p, row[p])
			drawn[p] = true
		}
	}
	if fine {
		r.spent += n
	}
	for _, o := range s.overlaps {
		older, ok1 := row[o.older]
		newer, ok2 := row[o.newer]
		if ok1 && ok2 && v.shows(o.from, o.to) && len(v.Overlaps) < mostOverlaps {
			v.overlap(o, older, newer)
		}
	}
	v.finish()
	v.marks(s.bad)
	return v
}

// rows tells what can stand side by side from what needs a row below.
func (r *run) rows(places []*history.Place) (rows map[*history.Place]int, used int) {
	rows = map[*history.Place]int{}
	var free [mostRows]time.Duration // from when on
	sorted := slices.Clone(places)
	slices.SortStableFunc(sorted, func(a, b *history.Place) int {
		fa, _ := r.span(a)
		fb, _ := r.span(b)
		return cmp.Compare(fa, fb)
	})
	for _, p := range sorted {
		from, to := r.span(p)
		at := 0
		for at < mostRows-1 && free[at] > from {
			at++
		}
		rows[p], free[at] = at, max(free[at], to)
		used = max(used, at+1)
	}
	return rows, used
}

// try draws one: its wait, its belief, and what was left after that.
func (v *view) try(p *history.Place, y float64) {
	r := v.run
	y += gap / 2
	mid := y + rowH/2
	if from, to := r.waited(p); from < to && v.shows(from, to) {
		title := fmt.Sprintf("%s waits, %s", clean(p.Proc), r.when(from, to))
		switch {
		case p.Got:
			title += fmt.Sprintf(", and gets it with token %d", p.Token)
		case p.Ended > 0:
			title += ", and does not get it: " + clean(p.Err)
		default:
			title += ": nothing is known of its end"
		}
		x, w := v.stretch(from, to, 0.5)
		v.Waits = append(v.Waits, box{x, mid - 0.75, w, 1.5, title, !p.Got})
	}
	if !p.Got {
		return
	}
	gone, told := r.gone(p)
	if knows := known(p); knows < gone && v.shows(knows, gone) {
		title := fmt.Sprintf("%s, token %d, %s: ", clean(p.Proc), p.Token, r.when(knows, gone))
		switch {
		case !told:
			title += "nothing is known of its end"
		case p.Lost > 0 && gone <= p.Lost:
			title += "until it is told of the loss"
		case p.Unacknowledged:
			title += "giving it back is not confirmed: " + clean(p.Err)
		default:
			title += "until it has given it back"
		}
		x, w := v.stretch(knows, gone, 0.5)
		v.Thins = append(v.Thins, box{x, mid - 2.5, w, 5, title, !told})
	}
	if knows := known(p); v.shows(p.Ended, knows) {
		x, w := v.stretch(p.Ended, knows, smallest)
		title := fmt.Sprintf("%s has it with token %d, %s", clean(p.Proc), p.Token, r.when(p.Ended, knows))
		if p.Last == 0 {
			title += ", and never asks"
		}
		v.Bars = append(v.Bars, box{x, mid - barH/2, w, barH, title, false})
		if token := fmt.Sprint(p.Token); w > letter*float64(len(token))+4 {
			v.Tokens = append(v.Tokens, label{round(x + w/2), mid + 4, token})
		}
	}
}

// bars draws beliefs only, and those that touch as one.
func (v *view) bars(places []*history.Place, y float64) {
	type piece struct{ x, w float64 }
	var all []piece
	for _, p := range places {
		if p.Got && v.shows(p.Ended, known(p)) {
			x, w := v.stretch(p.Ended, known(p), smallest)
			all = append(all, piece{x, w})
		}
	}
	slices.SortFunc(all, func(a, b piece) int { return cmp.Compare(a.x, b.x) })
	var d strings.Builder
	write := func(p piece) {
		fmt.Fprintf(&d, "M%.1f %.1fh%.1fv%.0fh-%.1fz", p.x, y+gap/2+(rowH-barH)/2, p.w, barH, p.w)
	}
	for i := 0; i < len(all); {
		joined := all[i]
		for i++; i < len(all) && all[i].x <= joined.x+joined.w+0.5; i++ {
			joined.w = max(joined.w, all[i].x+all[i].w-joined.x)
		}
		write(joined)
	}
	if d.Len() > 0 {
		v.Paths = append(v.Paths, d.String())
	}
}

// overlap draws one in red: on both bars, and from one to the other.
func (v *view) overlap(o overlap, older, newer float64) {
	x, w := v.stretch(o.from, o.to, redLeast)
	inset := gap/2 + (rowH-barH)/2
	top := min(older, newer) + inset
	c := clash{X: x, W: w, Y: top, H: max(older, newer) + inset + barH - top,
		Title: fmt.Sprintf("Overlap of %v, %s: %s with token %d still believes, and %s has it with token %d",
			o.to-o.from, v.run.when(o.from, o.to), clean(o.older.Proc), o.older.Token, clean(o.newer.Proc), o.newer.Token)}
	for _, y := range slices.Compact([]float64{older, newer}) {
		c.Parts = append(c.Parts, box{X: x, Y: y + inset, W: w, H: barH})
	}
	v.Overlaps = append(v.Overlaps, c)
}

// LanesH is the height of all lanes.
func (v *view) LanesH() float64 { return v.Foot - v.Top }

// Top is where a lane's ground begins.
func (l lane) Top() float64 { return l.Y + 1 }

// Inner is its height.
func (l lane) Inner() float64 { return l.H - 2 }

// Left is where a mark's number begins.
func (m mark) Left() float64 { return round(m.PillX - m.PillW/2) }

// long is how wide a text gets.
func long(s string) float64 { return letter * float64(utf8.RuneCountInString(s)) }
