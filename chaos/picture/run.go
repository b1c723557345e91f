// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package picture

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/quorate/quorate/chaos/history"
)

// A run is a history, prepared for drawing.
type run struct {
	start, end time.Duration
	places     []*history.Place // but those of sessions, which nobody gets
	sessions   int
	windows    []*history.Window
	lives      map[string][]life
	spent      int // of the budget
}

// A life is what a process did until it was killed and came back.
type life struct {
	first uint64 // number of its tries
	last  uint64
	ended time.Duration // its last event that we know of
}

// apart is how far the numbers of two lives are apart at least: each begins with
// the clock's reading in nanoseconds, and nobody tries more often than that.
const apart = 1_000_000

func newRun(h *history.History) *run {
	r := &run{windows: h.Windows(), lives: map[string][]life{}}
	for _, p := range h.Places() {
		if p.Kind == history.Session {
			r.sessions++
		} else {
			r.places = append(r.places, p)
		}
	}
	if len(h.Events) > 0 {
		r.start, r.end = h.Events[0].T, h.Events[len(h.Events)-1].T
	}
	byProc := map[string][]life{}
	for _, e := range h.Events {
		if e.ID != 0 {
			byProc[e.Proc] = append(byProc[e.Proc], life{e.ID, e.ID, e.T})
		}
	}
	for proc, all := range byProc {
		slices.SortFunc(all, func(a, b life) int { return cmp.Compare(a.first, b.first) })
		var lives []life
		for _, l := range all {
			if n := len(lives) - 1; n >= 0 && l.first-lives[n].last < apart {
				lives[n].last, lives[n].ended = l.last, max(lives[n].ended, l.ended)
			} else {
				lives = append(lives, l)
			}
		}
		r.lives[proc] = lives
	}
	return r
}

// died is when the process that made this try was heard of for the last time.
func (r *run) died(p *history.Place) time.Duration {
	for _, l := range r.lives[p.Proc] {
		if l.first <= p.ID && p.ID <= l.last {
			return l.ended
		}
	}
	return r.end
}

// waited is from when to when a try waited.
func (r *run) waited(p *history.Place) (from, to time.Duration) {
	to = p.Ended
	if to == 0 {
		to = r.died(p)
	}
	from = p.Called
	if from == 0 {
		from = to
	}
	return from, max(from, to)
}

// known is until when a holder surely knows that it has its place.
func known(p *history.Place) time.Duration { return max(p.Ended, p.Last) }

// gone is when the holder was rid of it, and whether it ever was.
func (r *run) gone(p *history.Place) (time.Duration, bool) {
	switch {
	case p.Lost > 0 && (p.Gave == 0 || p.Lost < p.Gave):
		return max(p.Lost, known(p)), true
	case p.Gave > 0:
		return max(p.Gave, known(p)), true
	}
	return max(r.died(p), known(p)), false
}

// span is all of a try.
func (r *run) span(p *history.Place) (from, to time.Duration) {
	from, to = r.waited(p)
	if p.Got {
		to, _ = r.gone(p)
	}
	return from, max(from, to)
}

// over is when a nemesis was over, which may be never.
func (r *run) over(w *history.Window) time.Duration {
	if w.To == 0 {
		return r.end
	}
	return w.To
}

// when tells two times of the run.
func (r *run) when(from, to time.Duration) string {
	if to <= from {
		return r.at(from)
	}
	return r.at(from) + " to " + r.at(to)
}

func (r *run) at(t time.Duration) string { return seconds(t - r.start) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

const maxText = 300

// clean makes text of others one line of printable characters.
func clean(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case unicode.IsGraphic(c):
			return c
		}
		return unicode.ReplacementChar
	}, s)
	if c := []rune(s); len(c) > maxText {
		s = string(c[:maxText]) + "…"
	}
	return s
}

// natural compares as people do: client-2 comes before client-10.
func natural(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits counts those that s begins with.
func digits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }
