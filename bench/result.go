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
	"fairness",
}

// cells are what the table shows of a result.
func (r *result) cells() []string {
	duration := func(of func(sample) figure) string {
		return summarize(over(r, func(s sample) time.Duration { return of(s).per })).String()
	}
	share := func(of func(sample) figure) string {
		return short(median(over(r, func(s sample) float64 { return of(s).share })))
	}
	limit := func(s sample) figure { return s.limit }
	ours := func(s sample) figure { return s.ours }
	peer := func(s sample) figure { return s.peer }

	ofLimit := over(r, func(s sample) float64 { return float64(s.ours.per) / float64(s.limit.per) })
	ofPeer := over(r, func(s sample) float64 { return float64(s.peer.per) / float64(s.ours.per) })
	const none = "–"
	peerBudget, peerVerdict, fairness := none, none, none
	if b := r.row.ofPeer; b != 0 {
		peerBudget, peerVerdict = fmt.Sprintf("≥ %g", b), verdict(ofPeer, b, true)
	}
	if r.samples[0].ours.share+r.samples[0].peer.share != 0 {
		fairness = share(ours) + ", peer " + share(peer)
	}
	return []string{
		r.row.name, duration(limit), duration(ours), duration(peer),
		summarize(ofLimit).String(), fmt.Sprintf("≤ %g", r.row.ofLimit), verdict(ofLimit, r.row.ofLimit, false),
		summarize(ofPeer).String(), peerBudget, peerVerdict,
		fairness,
	}
}
