// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// lives: a process that was not killed ends in order. One that has told of no
// begin is from a time in which nobody told.
func lives(r *run) (found []Violation) {
	for proc, of := range r.lives {
		for i, l := range of {
			next := r.end
			if i+1 < len(of) {
				next = of[i+1].From
			}
			if l.Born && l.Ended == 0 && l.To < r.end-time.Second && !r.killed(l, next) {
				found = append(found, Violation{Name: proc, From: l.To, To: next,
					Text: fmt.Sprintf("life %d is heard of no more, was not killed, and has not ended in order", l.Number)})
			}
		}
	}
	return found
}

// killed says whether a process was killed soon after it was last heard of:
// while its session is lost it has little to tell.
func (r *run) killed(l *history.Life, next time.Duration) bool {
	for _, w := range r.windows {
		if kills(w, l.Proc) && w.From <= min(next, l.To+r.Lease) && (w.To == 0 || w.To >= l.To) {
			return true
		}
	}
	return false
}

// errorsTold: what a client was told is one of what it may be told. The rest it
// calls unexpected.
func errorsTold(r *run) (found []Violation) {
	const most = 20
	index := map[string]int{}
	times := map[string]int{}
	for _, e := range r.Events {
		if !strings.HasPrefix(e.Err, history.Unexpected) {
			continue
		}
		text := fmt.Sprintf("%s: %s", e.What, e.Err)
		i, known := index[text]
		if !known {
			if len(found) == most {
				continue
			}
			i = len(found)
			index[text], found = i, append(found, Violation{Name: e.Proc, From: e.T, Text: text})
		}
		times[text]++
		if found[i].To = e.T; times[text] > 1 {
			found[i].Text = fmt.Sprintf("%s (%d times)", text, times[text])
		}
	}
	return found
}
