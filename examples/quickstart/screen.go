// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// A screen writes plain lines: when, who or what, and what happened.
type screen struct {
	mu    sync.Mutex
	w     io.Writer
	start time.Duration
}

func newScreen(w io.Writer) *screen { return &screen{w: w, start: now()} }

// say writes a line that is about this moment.
func (s *screen) say(who, format string, args ...any) { s.at(now(), who, format, args...) }

// at writes a line that is about the moment t, by the common clock.
func (s *screen) at(t time.Duration, who, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, "%6.2f s  %-8s  %s\n", (t - s.start).Seconds(), who, fmt.Sprintf(format, args...))
}

// more continues the line before.
func (s *screen) more(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, "%20s%s\n", "", fmt.Sprintf(format, args...))
}

// plain writes a line without a time.
func (s *screen) plain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, format+"\n", args...)
}

// length writes a duration with two or three digits that count.
func length(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// plural writes a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
