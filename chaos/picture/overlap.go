// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package picture

import (
	"cmp"
	"slices"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// An overlap is a time in which two holders of one name both had it, and the one
// with the smaller token still was told so.
type overlap struct {
	older, newer *history.Place
	from, to     time.Duration
}

// crowd is how many holders are compared with each one that comes: where more
// than that overlap, the picture is red anyway.
const crowd = 8

// overlaps finds them by the same measure as the rule of that name: between two
// tokens, what counts is when the smaller one was told yes for the last time.
func overlaps(places []*history.Place) (found []overlap) {
	holders := slices.DeleteFunc(slices.Clone(places), func(p *history.Place) bool { return !p.Got })
	slices.SortStableFunc(holders, func(a, b *history.Place) int { return cmp.Compare(a.Ended, b.Ended) })
	var active []*history.Place // those that still believe
	for _, p := range holders {
		active = slices.DeleteFunc(active, func(a *history.Place) bool { return a.Last <= p.Ended })
		for _, a := range active {
			o := overlap{older: a, newer: p, from: p.Ended, to: min(a.Last, until(p, a.Last))}
			if a.Token > p.Token {
				if p.Last <= p.Ended { // it woke, and never believed
					continue
				}
				o.older, o.newer = p, a
			}
			found = append(found, o)
		}
		if active = append(active, p); len(active) > crowd {
			active = active[1:]
		}
	}
	return found
}

// until is when a holder had its place for the last time, or d if it has not
// told.
func until(p *history.Place, d time.Duration) time.Duration {
	if end := max(p.Last, p.Over(), p.Gave); end > p.Ended {
		return end
	}
	return d
}
