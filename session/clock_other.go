// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package session

// SystemClock returns the default clock: Go's monotonic clock. On Windows it
// counts suspended time. On macOS and the BSDs it may not; there a machine that
// slept through its lease learns it from the first renewal after it woke.
func SystemClock() Clock { return MonotonicClock() }
