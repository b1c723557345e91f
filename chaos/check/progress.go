// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// unlock: what one gives back, one who waits gets. Nothing is said while a
// nemesis is at work, or while the place of one that it killed stands in line.
func unlock(r *run) (found []Violation) {
	for _, places := range r.names {
		for _, p := range places {
			due := p.Gave + r.HandOver
			due += r.stalled(p.Gave, due)
			if p.Gave == 0 || p.Unacknowledged || due > r.end || r.hit(p.Give, due) {
				continue
			}
			if next(places, p.Give, due) {
				r.passed = append(r.passed, p.Gave)
				continue
			}
			for _, w := range places {
				if w != p && w.Called < p.Give && waitsUntil(w, due) {
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
func waitsUntil(p *history.Place, then time.Duration) bool {
	if p.Ended > 0 && p.Ended <= then || p.Canceled > 0 && p.Canceled <= then {
		return false
	}
	return p.Life.To >= then
}

// waits: whoever gives up gets away, also when nobody answers. Nothing that
// stands still can be in time, so that time does not count.
func waits(r *run) (found []Violation) {
	for _, p := range r.places {
		if p.Canceled == 0 {
			continue
		}
		ended := waited(p)
		still := r.still(p.Proc, p.Canceled, ended)
		if late := ended - p.Canceled - still; late > r.Wait {
			text := fmt.Sprintf("%s has waited for %v after its context had ended", p.Proc, late)
			if still > 0 {
				text += fmt.Sprintf(", beside %v in which it stood still", still)
			}
			found = append(found, Violation{Name: title(p), From: p.Canceled, To: ended, Text: text})
		}
	}
	return found
}

// waited is until when a try waited: one that has not ended was killed, or waits
// still when its process was last heard of.
func waited(p *history.Place) time.Duration {
	if p.Ended == 0 {
		return p.Life.To
	}
	return p.Ended
}

// wants is until when it had a reason to: what hangs for ever after it was given
// up is for the wait rule.
func wants(p *history.Place) time.Duration {
	if p.Ended == 0 && p.Canceled > 0 {
		return p.Canceled
	}
	return waited(p)
}
