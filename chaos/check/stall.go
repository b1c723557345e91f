// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// Nothing that stands still can be in time, so bounds on progress do not count
// such time. A process stands still when a nemesis stops it, and all of them do
// when the machine has other things to do.

// silence is what no two processes that ask at their pace, 5 ms, leave without
// a word.
const silence = 50 * time.Millisecond

// around is in what time before and after a silence a process must have asked to
// count as one that would have gone on.
const around = 100 * time.Millisecond

// stalls are the times in which the machine stood still: no process at all told
// anything, although at least two that had been asking went on to.
//
// A program that hangs is no stall: it would have to take all others with it,
// the resource and the watch of the servers too, and let them go again at once.
func stalls(events []history.Event) (all []stretch) {
	for i := 1; i < len(events); i++ {
		s := stretch{events[i-1].T, events[i].T}
		if s.to-s.from <= silence {
			continue
		}
		before := map[string]bool{}
		for j := i - 1; j >= 0 && events[j].T >= s.from-around; j-- {
			before[events[j].Proc] = before[events[j].Proc] || events[j].What == history.Checked
		}
		both := map[string]bool{}
		for j := i; j < len(events) && events[j].T <= s.to+around; j++ {
			if events[j].What == history.Checked && before[events[j].Proc] {
				both[events[j].Proc] = true
			}
		}
		if len(both) >= 2 {
			all = append(all, s)
		}
	}
	return all
}

// stalled is for how long the machine stood still between two times.
func (r *run) stalled(from, to time.Duration) time.Duration {
	return within(r.stalls, from, to)
}

// still is for how long a process stood still between two times. Nemeses that
// pause one are named stop...
func (r *run) still(proc string, from, to time.Duration) time.Duration {
	times := append([]stretch(nil), r.stalls...)
	for _, w := range r.windows {
		if strings.HasPrefix(w.Name, "stop") && w.On == proc {
			end := w.To
			if end == 0 {
				end = to
			}
			times = append(times, stretch{w.From, end})
		}
	}
	return within(times, from, to)
}

// within is how much of the time between from and to the stretches cover; where
// two of them do, it counts once.
func within(times []stretch, from, to time.Duration) (sum time.Duration) {
	slices.SortFunc(times, func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
	for _, s := range times {
		if begin, end := max(from, s.from), min(to, s.to); begin < end {
			sum += end - begin
			from = end
		}
	}
	return sum
}
