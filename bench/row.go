// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

// A row is one thing that Quorate and a peer both do, and its budgets.
type row struct {
	backend             *backend
	name, what          string
	limitName, peerName string

	limit, ours, peer measurement // peer is nil if it is not measured

	ofLimit float64 // Quorate takes at most this many times the limit
	ofPeer  float64 // the peer takes at least this many times as long as Quorate; 0: no budget
}

// A measurement takes about d and does something over and over on the bed.
type measurement func(ctx context.Context, b *bed, d time.Duration) (figure, error)

// A figure is what one measurement found.
type figure struct {
	per   time.Duration // of one of what the row is about
	n     int           // how many were measured
	share float64       // of loops: the smallest share of a session by the largest; else 0
	turns float64       // of loops: how often in a second another session than before had the lock
}

// A sample is one run of a row.
type sample struct{ limit, ours, peer figure }

func (s sample) String() string {
	peer := ""
	if s.peer.n > 0 {
		peer = ", peer " + short(s.peer.per)
	}
	return fmt.Sprintf("limit %s, Quorate %s%s", short(s.limit.per), short(s.ours.per), peer)
}

func freeRow(b *backend, ofLimit float64) row {
	return row{
		backend: b, name: b.name + "/free", what: "Lock and Unlock of a lock that nobody else wants",
		limitName: "two bare commits, a create and a delete", peerName: b.peerName,
		limit: b.twoCommits, ours: free(b.ours), peer: free(b.peer),
		ofLimit: ofLimit,
	}
}

// loopRow has no budget for the limit if that is 0.
func loopRow(b *backend, n int, ofLimit, ofPeer float64) row {
	return row{
		backend: b, name: fmt.Sprintf("%s/loop/%d", b.name, n), what: fmt.Sprintf("%d sessions lock and unlock in a loop, per acquisition", n),
		limitName: "one bare commit seen by " + b.watcher, peerName: b.peerName,
		limit: b.seenCommit(0), ours: loop(b.ours, n), peer: loop(b.peer, n),
		ofLimit: ofLimit, ofPeer: ofPeer,
	}
}

// mostSessions is how many sessions a hand-over is measured with at most; with
// more waiters, some share one. A thousand clients in one process would be a
// measurement of that process.
const mostSessions = 100

// handOverRow is without the peer if peerRest, which is how long that takes to
// come to rest, is 0.
func handOverRow(b *backend, n int, ofLimit float64, rest, peerRest time.Duration) row {
	sessions, of := n+1, "sessions"
	if n > mostSessions {
		sessions = 20
		of = fmt.Sprintf("waiters, of %d sessions,", sessions)
	}
	r := row{
		backend: b, name: fmt.Sprintf("%s/handover/%d", b.name, n),
		what:      fmt.Sprintf("from a call of Unlock until the Lock of one of %d %s that wait returns, after a rest of %v", n, of, rest),
		limitName: "one bare commit seen by " + b.watcher + ", after the same rest", peerName: b.peerName,
		limit: b.seenCommit(rest), ours: handOver(b.ours, n, sessions, rest),
		ofLimit: ofLimit,
	}
	if peerRest > 0 {
		r.peer = handOver(b.peer, n, sessions, peerRest)
	}
	return r
}

// measure is one run: limit, Quorate, peer.
func (r *row) measure(ctx context.Context, b *bed, d time.Duration) (s sample, err error) {
	for _, part := range []struct {
		what    string
		measure measurement
		into    *figure
	}{
		{"limit", r.limit, &s.limit},
		{"Quorate", r.ours, &s.ours},
		{r.peerName, r.peer, &s.peer},
	} {
		if part.measure == nil {
			continue
		}
		if *part.into, err = part.measure(ctx, b, d); err != nil {
			return s, fmt.Errorf("%s: %w", part.what, err)
		}
	}
	return s, nil
}
