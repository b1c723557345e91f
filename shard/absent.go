// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"cmp"
	"time"
)

// absences are what the planner knows of members that are not there.
type absences struct {
	with     map[string]time.Time // those who have shards still, since when
	vanished map[string]time.Time // those who went without leaving, when, for Options.BrakeWindow
	until    time.Time            // shards wait because too many vanished; zero if they do not
	before   int                  // how many members there were until then
	staying  int                  // members of the table that are there
}

// keep returns the members that are not there and whose shards wait for them, in
// their grace or because too many vanished at once, and when that ends.
func (o *office) keep(now time.Time) (kept map[string]bool, next time.Time) {
	opts, a := &o.l.g.opts, &o.absent
	ttl := o.l.inc.TTL()
	o.note(now)
	for id, at := range a.vanished {
		if now.Sub(at) > cmp.Or(opts.BrakeWindow, ttl) {
			delete(a.vanished, id)
		}
	}
	gone, all := len(a.vanished), len(a.vanished)+a.staying
	switch hold := cmp.Or(opts.BrakeHold, 3*ttl); {
	case a.until.IsZero() && all > 2 && gone*100 > opts.Brake*all:
		a.until, a.before = now.Add(hold), all
		o.l.g.s.Logger().Warn("too many members vanished at once, their shards wait",
			"group", o.l.g.name, "vanished", gone, "left", a.staying, "for", hold)
	case !now.Before(a.until) || len(a.with) == 0 || len(o.members) >= a.before:
		a.until = time.Time{}
	}
	kept = make(map[string]bool)
	for id, since := range a.with {
		until := since.Add(opts.Grace)
		if until.Before(a.until) {
			until = a.until
		}
		if now.Before(until) {
			kept[id] = true
			next = earlier(next, until)
		}
	}
	return kept, next
}

// note finds out who is not there now.
func (o *office) note(now time.Time) {
	a := &o.absent
	shards := make([]int, len(o.table.members)+1)
	for _, n := range o.table.owner {
		shards[n]++
	}
	a.staying = 0
	for n, e := range o.table.members {
		if _, there := o.members[e.ID]; there || e.ID == "" {
			if there {
				a.staying++
			}
			delete(a.with, e.ID)
			delete(a.vanished, e.ID)
			continue
		}
		_, known := a.with[e.ID]
		switch {
		case shards[n+1] == 0:
			delete(a.with, e.ID)
		case !known:
			a.with[e.ID] = now
		}
		// Who had gone when this planner began is told of by his shards alone.
		if first := !e.gone || shards[n+1] > 0 && !known; first && !e.draining {
			if _, noted := a.vanished[e.ID]; !noted {
				a.vanished[e.ID] = now
			}
		}
	}
}
