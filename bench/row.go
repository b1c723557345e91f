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
	name, what          string
	limitName, peerName string

	limit, ours, peer measurement

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
}

// A sample is one run of a row.
type sample struct{ limit, ours, peer figure }

func (s sample) String() string {
	return fmt.Sprintf("limit %s, Quorate %s, peer %s", short(s.limit.per), short(s.ours.per), short(s.peer.per))
}

// allRows are in the order in which they are measured and printed.
var allRows = []row{
	{
		name: "mutex/free", what: "Lock and Unlock of a lock that nobody else wants",
		limitName: "two bare commits, a create and a delete", peerName: "concurrency.Mutex",
		limit: twoCommits, ours: free(quorateMutex), peer: free(peerMutex),
		ofLimit: 1.15,
	},
	loopRow(2, 1.5, 50),
	loopRow(8, 2, 10),
	loopRow(32, 2.5, 2.5),
}

func loopRow(n int, ofLimit, ofPeer float64) row {
	return row{
		name: fmt.Sprintf("mutex/loop/%d", n), what: fmt.Sprintf("%d sessions lock and unlock in a loop, per acquisition", n),
		limitName: "one bare commit seen by a watcher", peerName: "concurrency.Mutex",
		limit: seenCommit, ours: loop(quorateMutex, n), peer: loop(peerMutex, n),
		ofLimit: ofLimit, ofPeer: ofPeer,
	}
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
		if *part.into, err = part.measure(ctx, b, d); err != nil {
			return s, fmt.Errorf("%s: %w", part.what, err)
		}
	}
	return s, nil
}
