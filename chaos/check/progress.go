// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// unlock: what one gives back, one who waits gets. Nothing is said while a
// nemesis is at work, or while the place of one that it killed stands in line.
func unlock(r *run) (found []Violation) {
	for _, places := range r.names {
		for _, p := range places {
			due := p.Gave + r.HandOver
			if p.Gave == 0 || p.Unacknowledged || due > r.end || r.hit(p.Give-r.Lease, due) {
				continue
			}
			if next(places, p.Give, due) {
				r.passed++
				continue
			}
			for _, w := range places {
				if w != p && w.Called < p.Give && r.waitsUntil(w, due) {
					found = append(found, Violation{Name: title(p), From: p.Gave, To: due,
						Text: fmt.Sprintf("%s gave it back, %s waits, and nobody has it after %v", who(p), w.Proc, r.HandOver)})
					break
				}
			}
		}
	}
	return found
}

// next says whether somebody got the place between two times.
func next(places []*history.Place, from, to time.Duration) bool {
	for _, p := range places {
		if p.Got && p.Ended >= from && p.Ended <= to {
			return true
		}
	}
	return false
}

// waitsUntil says whether a try was waiting all the time until then, in a
// process that lived.
func (r *run) waitsUntil(p *history.Place, then time.Duration) bool {
	if p.Ended > 0 && p.Ended <= then || p.Canceled > 0 && p.Canceled <= then {
		return false
	}
	return r.ended[p.Proc] >= then
}

// waits: whoever gives up gets away, also when nobody answers.
func waits(r *run) (found []Violation) {
	for _, p := range r.places {
		if p.Canceled == 0 {
			continue
		}
		ended := p.Ended
		if ended == 0 {
			ended = r.ended[p.Proc] // killed, or still waiting then
		}
		if late := ended - p.Canceled; late > r.Wait && !r.stopped(p.Proc, p.Canceled, ended) {
			found = append(found, Violation{Name: title(p), From: p.Canceled, To: ended,
				Text: fmt.Sprintf("%s has waited for %v after its context had ended", p.Proc, late)})
		}
	}
	return found
}

// stopped says whether a process was paused between two times: nothing that
// stands still can be in time. Nemeses that pause one are named stop...
func (r *run) stopped(proc string, from, to time.Duration) bool {
	for _, w := range r.windows {
		if strings.HasPrefix(w.Name, "stop") && w.On == proc && w.From <= to && (w.To == 0 || w.To >= from) {
			return true
		}
	}
	return false
}

// heal: after a nemesis each place that is wanted is held again, in time and
// before the next nemesis begins: a run has to wait for that.
func heal(r *run) (found []Violation) {
	for _, w := range r.windows {
		if w.To == 0 {
			continue
		}
		due := min(w.To+r.Heal, r.end)
		for _, o := range r.windows {
			if o.From > w.To {
				due = min(due, o.From)
			}
		}
		for _, places := range r.names {
			if !held(places, w.To, due) && r.wanted(places, w.To, due) {
				found = append(found, Violation{Name: title(places[0]), From: w.To, To: due,
					Text: fmt.Sprintf("nobody has it %v after the end of %s", due-w.To, w.Name)})
			}
		}
	}
	return found
}

// held says whether somebody had a place, and knew it, at some time between.
func held(places []*history.Place, from, to time.Duration) bool {
	for _, p := range places {
		if p.Got && p.First > 0 && p.First <= to && p.Last >= from {
			return true
		}
	}
	return false
}

// wanted says whether at all times between there was somebody who waited, in a
// process that lived, but for moments between two tries.
func (r *run) wanted(places []*history.Place, from, to time.Duration) bool {
	const moment = 200 * time.Millisecond
	tries := slices.Clone(places)
	slices.SortFunc(tries, func(a, b *history.Place) int { return cmp.Compare(a.Called, b.Called) })
	until := from
	for _, p := range tries {
		if p.Called == 0 || p.Called > until+moment {
			continue
		}
		end := p.Ended
		if end == 0 {
			end = r.ended[p.Proc]
		}
		until = max(until, end)
	}
	return until > from && until+moment >= to
}

// observe: an observer may skip terms, but never goes back.
func observe(r *run) (found []Violation) {
	latest := map[[2]string]history.Event{}
	for _, e := range r.Events {
		if e.What != history.Saw || e.Token == 0 {
			continue
		}
		k := [2]string{e.Proc, e.Name}
		if l := latest[k]; e.Token < l.Token {
			found = append(found, Violation{Name: e.Name, From: l.T, To: e.T,
				Text: fmt.Sprintf("%s was shown token %d after %d", e.Proc, e.Token, l.Token)})
			continue
		}
		latest[k] = e
	}
	return found
}

func left(r *run) (found []Violation) {
	for _, e := range r.Events {
		switch e.What {
		case history.Left:
			found = append(found, Violation{Name: e.Name, From: e.T, To: e.T, Text: "a key is left"})
		case history.Leak:
			found = append(found, Violation{Name: e.Proc, From: e.T, To: e.T, Text: "a goroutine is left: " + e.Value})
		}
	}
	return found
}

// vacuous: a run in which nothing happened proves nothing.
func vacuous(r *run) (found []Violation) {
	if len(r.windows) == 0 {
		return nil
	}
	first, got := r.windows[0].From, 0
	for _, p := range r.places {
		if p.Got && p.Ended < first {
			got++
		}
	}
	if got < r.Bounds.Got {
		found = append(found, Violation{Name: "run", To: first,
			Text: fmt.Sprintf("%d places got before the first nemesis, fewer than %d", got, r.Bounds.Got)})
	}
	if r.Liveness && r.passed < r.Bounds.Got {
		found = append(found, Violation{Name: "run", To: r.end,
			Text: fmt.Sprintf("%d hand-overs while nothing was wrong, fewer than %d", r.passed, r.Bounds.Got)})
	}
	for _, w := range r.windows {
		if len(w.Effects) == 0 {
			found = append(found, Violation{Name: w.Name, From: w.From, To: w.To, Text: "has had no effect on " + w.On})
		}
	}
	return found
}
