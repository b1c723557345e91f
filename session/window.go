// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"math"
	"sync/atomic"
	"time"
)

// A window is the time in which a lease can be trusted (rule R1): from the
// grant until the send time of the last acknowledged renewal plus the TTL,
// less a margin.
//
// The send time, because the server restarts the lease when the request
// arrives, which is later than that; the time at which the answer arrived can
// be later than the lease's end. A window that has closed never opens again:
// whoever saw it closed once has let go.
type window struct {
	clock  Clock
	margin time.Duration
	letGo  bool // close at the first sign of trouble, not at the last moment

	until   atomic.Int64 // clock reading at which trust ends
	overdue atomic.Int64 // clock reading at which a renewal is overdue
}

const closedForGood = math.MinInt64

func (w *window) trusted() bool { return int64(w.clock.Now()) < w.until.Load() }

// left returns how long the window stays open without a renewal.
func (w *window) left() time.Duration {
	until := w.until.Load()
	if until == closedForGood {
		return 0
	}
	return max(0, time.Duration(until)-w.clock.Now())
}

func (w *window) late() bool { return int64(w.clock.Now()) >= w.overdue.Load() }

// start opens the window for a lease that was asked for at sent.
func (w *window) start(sent, ttl time.Duration) {
	end, late := w.ends(sent, ttl)
	w.overdue.Store(int64(late))
	w.until.Store(int64(end))
}

// renewed moves the window's end for a renewal that was sent at sent and has
// been acknowledged. It reports whether the window is open.
func (w *window) renewed(sent, ttl time.Duration) bool {
	end, late := w.ends(sent, ttl)
	for {
		old := w.until.Load()
		if int64(w.clock.Now()) >= old {
			return false
		}
		if w.until.CompareAndSwap(old, max(old, int64(end))) {
			w.overdue.Store(int64(late))
			return true
		}
	}
}

func (w *window) ends(sent, ttl time.Duration) (end, late time.Duration) {
	late = sent + ttl/2
	if w.letGo {
		return late, late
	}
	return sent + ttl - w.margin, late
}

func (w *window) shut() { w.until.Store(closedForGood) }
