// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import "time"

// A Clock tells how much time has passed. Readings never go back, and they
// count the time that the machine was suspended, which Go's own monotonic
// clock and timers leave out on Linux. Where timers are late for that reason,
// Check still compares a reading at the moment of use.
//
// A Clock must not follow the wall clock: somebody may set that.
type Clock interface {
	Now() time.Duration
}

// goClock reads Go's monotonic clock.
type goClock struct{ start time.Time }

func (c goClock) Now() time.Duration { return time.Since(c.start) }

// MonotonicClock returns a Clock on Go's monotonic clock. It is virtual inside
// a testing/synctest bubble, where the default clock, a system call, is not.
// On Linux it stands still while the machine is suspended.
func MonotonicClock() Clock { return goClock{time.Now()} }
