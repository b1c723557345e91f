// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// errVerdict is returned when something promised was not so.
var errVerdict = errors.New("the verdict is FAILED")

// A lateness is what the worker did that was woken after its lease.
type lateness struct {
	who    string
	token  uint64
	woken  time.Duration
	denied time.Duration // its Check failed; 0 if never
	over   time.Duration // its context ended; 0 if never
}

// A record is all that the verdict is computed from.
type record struct {
	terms  []term
	writes []write
	values map[string]uint64 // what the items are at the end
	late   *lateness         // nil where no process can be frozen
	ends   []string          // of leaders, each of which had to be shown

	// After an end without notice nobody may lead for longer than the lease
	// can last, after one in order for longer than a moment.
	afterDeath, afterResign time.Duration

	leased, others int // keys left when all had ended
}

const (
	endKilled   = "SIGKILL"
	endFrozen   = "SIGSTOP past its lease"
	endResigned = "request to stop"
)

// A change is how one term followed another.
type change struct {
	from, to term
	nobody   time.Duration // led in between; negative if two led at once
}

// changes compares each term with whatever lasted longest before it.
func (r *record) changes() []change {
	terms := slices.Clone(r.terms)
	slices.SortStableFunc(terms, func(a, b term) int { return cmp.Compare(a.from, b.from) })
	var cs []change
	for i, t := range terms {
		if i > 0 {
			last := slices.MaxFunc(terms[:i], func(a, b term) int { return cmp.Compare(a.until, b.until) })
			cs = append(cs, change{last, t, t.from - last.until})
		}
	}
	return cs
}

// lost returns how many accepted writes of an item another one undid: each
// should have found what the accepted one before it wrote, and added one.
func (r *record) lost(item string) int {
	n := 0
	for _, w := range r.writes {
		if w.Item == item && w.accepted && w.Value != w.before+1 {
			n++
		}
	}
	return n
}

// refused returns the writes that the resource did not take.
func (r *record) refused() []write {
	var ws []write
	for _, w := range r.writes {
		if !w.accepted {
			ws = append(ws, w)
		}
	}
	return ws
}

// faults returns what was not as promised.
func (r *record) faults() []string {
	var fs []string
	bad := func(format string, args ...any) { fs = append(fs, fmt.Sprintf(format, args...)) }
	for _, c := range r.changes() {
		if c.nobody < 0 {
			bad("%s (token %d) and %s (token %d) led at once for %s", c.from.who, c.from.token, c.to.who, c.to.token, length(-c.nobody))
		}
		if c.to.token <= c.from.token {
			bad("%s led after %s with token %d, not larger than %d", c.to.who, c.from.who, c.to.token, c.from.token)
		}
		limit := r.afterDeath
		if c.from.end == endResigned {
			limit = r.afterResign
		}
		if c.nobody > limit {
			bad("nobody led for %s after %s, limit %s", length(c.nobody), c.from.who, length(limit))
		}
	}
	for _, end := range r.ends {
		if !slices.ContainsFunc(r.changes(), func(c change) bool { return c.from.end == end && c.from.who != c.to.who }) {
			bad("no other worker led after a leader's end by %s", end)
		}
	}
	fs = append(fs, r.badWrites()...)
	if r.late != nil {
		fs = append(fs, r.badWake()...)
	}
	if r.leased > 0 {
		bad("%s left that should have gone with their leases", plural(r.leased, "key"))
	}
	if r.others > 0 {
		bad("%s left that hung on no lease", plural(r.others, "key"))
	}
	return fs
}

// badWrites judges the log of the resource anew, so that a resource that
// forgets to compare does not pass.
func (r *record) badWrites() []string {
	var fs []string
	bad := func(format string, args ...any) { fs = append(fs, fmt.Sprintf(format, args...)) }
	largest, accepted := map[string]uint64{}, map[string]uint64{}
	for _, w := range r.writes {
		stale := w.Token < largest[w.Item]
		if w.accepted {
			accepted[w.Item]++
			largest[w.Item] = max(largest[w.Item], w.Token)
		}
		if stale && w.accepted {
			bad("a late write of %s to the %s was accepted (token %d after a larger one)", w.Who, w.Item, w.Token)
		}
		if !stale && !w.accepted {
			bad("a write of %s to the %s was refused without reason (token %d)", w.Who, w.Item, w.Token)
		}
	}
	for _, item := range []string{counter, schedule} {
		if n := r.lost(item); n > 0 {
			bad("%s of the %s", plural(n, "lost update"), item)
		}
		if accepted[item] != r.values[item] {
			bad("the %s is %d after %s", item, r.values[item], plural(int(accepted[item]), "accepted write"))
		}
		if accepted[item] == 0 {
			bad("nobody ever wrote the %s", item)
		}
	}
	return fs
}

func (r *record) badWake() []string {
	var fs []string
	late := func(w write) bool {
		return w.Item == schedule && w.Who == r.late.who && w.Token == r.late.token && w.at >= r.late.woken
	}
	if !slices.ContainsFunc(r.refused(), late) {
		fs = append(fs, fmt.Sprintf("no late write of %s was refused", r.late.who))
	}
	for what, at := range map[string]time.Duration{"Check did not fail": r.late.denied, "context did not end": r.late.over} {
		if at < r.late.woken || at == 0 {
			fs = append(fs, fmt.Sprintf("%s's %s after it had been woken", r.late.who, what))
		}
	}
	slices.Sort(fs)
	return fs
}

// verdict is the last line of a run.
func (r *record) verdict() string {
	if fs := r.faults(); len(fs) > 0 {
		return "VERDICT: FAILED - " + strings.Join(fs, "; ")
	}
	late := plural(len(r.refused()), "late write") + " refused"
	if r.late == nil {
		late = "late write not shown (no SIGSTOP here)"
	}
	return fmt.Sprintf("VERDICT: ok - one leader at a time, 0 lost updates, %s, 0 keys left", late)
}
