// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"fmt"
	"strings"
	"time"
)

// bound is how late a wait may end (promise 4, invariant I9).
const bound = time.Second

// A row is what came out of all rounds of one scenario with one kind of lock.
// It keeps the worst of them.
type row struct {
	scenario, kind string
	rounds, failed int

	held    bool // somebody held it when the next one got it, so overlap counts
	overlap time.Duration
	unended bool // and believed so until the watching ended

	took time.Duration // from the fault until the next one got it
	next bool          // somebody did

	stales  int
	refused int
	keys    int

	waited  bool // the scenario has a wait to measure
	wait    time.Duration
	endless bool // it did not end while it was watched

	faults []string // what else went wrong
	byHand bool     // the lock's keys were deleted by hand, which overrides it
}

// add takes one round into account.
func (r *row) add(o *row) {
	r.rounds++
	if len(o.verdict()) > 0 {
		r.failed++
	}
	if o.held {
		r.overlapped(o.overlap)
	}
	if o.waited {
		r.waits(o.wait)
	}
	if o.next {
		r.passed(o.took)
	}
	r.stale(o.stales, o.refused)
	r.keys = max(r.keys, o.keys)
	r.unended = r.unended || o.unended
	r.endless = r.endless || o.endless
	r.byHand = r.byHand || o.byHand
	for _, f := range o.faults {
		r.fault("%s", f)
	}
}

func (r *row) overlapped(d time.Duration) {
	if !r.held || d > r.overlap {
		r.overlap = d
	}
	r.held = true
}

// passed notes how long after the fault the next one got the lock.
func (r *row) passed(d time.Duration) {
	if !r.next || d > r.took {
		r.took = d
	}
	r.next = true
}

func (r *row) stale(stale, refused int) {
	r.stales += stale
	r.refused += refused
}

// waits notes a wait that has ended so long after what should have ended it.
func (r *row) waits(d time.Duration) {
	r.waited = true
	r.wait = max(r.wait, d)
}

// hangs notes a wait that was watched for so long and has not ended.
func (r *row) hangs(watched time.Duration) {
	r.waits(watched)
	r.endless = true
}

// fault notes what a scenario has found wrong that the figures do not show.
func (r *row) fault(format string, args ...any) {
	f := fmt.Sprintf(format, args...)
	for _, known := range r.faults {
		if known == f {
			return
		}
	}
	r.faults = append(r.faults, f)
}

// verdict lists what is wrong; nothing is right.
func (r *row) verdict() []string {
	var wrong []string
	if r.held && r.overlap > 0 && !r.byHand {
		wrong = append(wrong, "two holders")
	}
	if r.stales > 0 {
		wrong = append(wrong, "stale writes")
	}
	if r.keys > 0 {
		wrong = append(wrong, "keys left")
	}
	if r.waited && r.wait > bound {
		wrong = append(wrong, "a wait does not end")
	}
	return append(wrong, r.faults...)
}

// cells are the row in the table.
func (r *row) cells() []string {
	return []string{r.kind, r.overlapCell(), r.staleCell(), fmt.Sprint(r.keys), r.nextCell(), r.waitCell(), r.verdictCell()}
}

func (r *row) overlapCell() string {
	switch {
	case !r.held:
		return "–"
	case r.unended:
		return fmt.Sprintf("> %d", r.overlap.Milliseconds())
	case r.overlap > 0 && r.overlap < time.Millisecond:
		return "< 1"
	default:
		return fmt.Sprint(r.overlap.Milliseconds())
	}
}

func (r *row) staleCell() string {
	if r.refused > 0 {
		return fmt.Sprintf("%d (%d refused)", r.stales, r.refused)
	}
	return fmt.Sprint(r.stales)
}

func (r *row) nextCell() string {
	if !r.next {
		return "–"
	}
	return fmt.Sprint(r.took.Milliseconds())
}

func (r *row) waitCell() string {
	switch {
	case !r.waited:
		return "–"
	case r.endless:
		return fmt.Sprintf("> %d", r.wait.Milliseconds())
	default:
		return fmt.Sprint(r.wait.Milliseconds())
	}
}

func (r *row) verdictCell() string {
	wrong := r.verdict()
	switch {
	case len(wrong) > 0:
		return fmt.Sprintf("%s (%d of %d)", strings.Join(wrong, "; "), r.failed, r.rounds)
	case r.byHand && r.overlap > 0:
		return "overridden by hand"
	default:
		return "ok"
	}
}
