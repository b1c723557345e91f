// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"
)

// A result is a row with all of its runs.
type result struct {
	row     row
	samples []sample
}

// over collects something of each run.
func over[T number](r *result, of func(sample) T) []T {
	all := make([]T, len(r.samples))
	for i, s := range r.samples {
		all[i] = of(s)
	}
	return all
}

// head names the cells of a result.
var head = []string{
	"row", "limit", "Quorate", "peer",
	"Quorate / limit", "budget", "verdict",
	"peer / Quorate", "budget", "verdict",
	"fairness", "turns per second",
}

// cells are what the table shows of a result.
func (r *result) cells() []string {
	duration := func(of func(sample) figure) string {
		return summarize(over(r, func(s sample) time.Duration { return of(s).per })).String()
	}
	both := func(of func(figure) float64) string {
		one := func(part func(sample) figure) string {
			return short(median(over(r, func(s sample) float64 { return of(part(s)) })))
		}
		return one(func(s sample) figure { return s.ours }) + ", peer " + one(func(s sample) figure { return s.peer })
	}
	limit := func(s sample) figure { return s.limit }
	ours := func(s sample) figure { return s.ours }
	peer := func(s sample) figure { return s.peer }

	ofLimit := over(r, func(s sample) float64 { return float64(s.ours.per) / float64(s.limit.per) })
	const none = "–"
	limitBudget, limitVerdict, fairness, turns := none, none, none, none
	if b := r.row.ofLimit; b != 0 {
		limitBudget, limitVerdict = fmt.Sprintf("≤ %g", b), verdict(ofLimit, b, false)
	}
	peerTime, peerRatio, peerBudget, peerVerdict := none, none, none, none
	if r.row.peer != nil {
		ofPeer := over(r, func(s sample) float64 { return float64(s.peer.per) / float64(s.ours.per) })
		peerTime, peerRatio = duration(peer), summarize(ofPeer).String()
		if b := r.row.ofPeer; b != 0 {
			peerBudget, peerVerdict = fmt.Sprintf("≥ %g", b), verdict(ofPeer, b, true)
		}
	}
	if r.samples[0].ours.turns+r.samples[0].peer.turns != 0 {
		fairness, turns = both(func(f figure) float64 { return f.share }), both(func(f figure) float64 { return f.turns })
	}
	return []string{
		r.row.name, duration(limit), duration(ours), peerTime,
		summarize(ofLimit).String(), limitBudget, limitVerdict,
		peerRatio, peerBudget, peerVerdict,
		fairness, turns,
	}
}
