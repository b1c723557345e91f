// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// number is what figures are made of.
type number interface{ time.Duration | float64 }

// stats are the median of some runs and the middle half of them, which is the
// spread. Not the least and the largest: of those, the one run in which the
// machine did something else would decide.
type stats[T number] struct{ low, median, high T }

func summarize[T number](of []T) stats[T] {
	of = slices.Clone(of)
	slices.Sort(of)
	return stats[T]{quantile(of, 0.25), quantile(of, 0.5), quantile(of, 0.75)}
}

func median[T number](of []T) T { return summarize(of).median }

// quantile lies between the two sorted values that are next to it.
func quantile[T number](sorted []T, q float64) T {
	at := q * float64(len(sorted)-1)
	i := int(at)
	low, high := sorted[i], sorted[min(i+1, len(sorted)-1)]
	return low + T((at-float64(i))*float64(high-low))
}

// String puts the spread in brackets behind the median.
func (s stats[T]) String() string {
	return fmt.Sprintf("%s [%s, %s]", short(s.median), short(s.low), short(s.high))
}

// short prints a duration or ratio with three digits.
func short[T number](v T) string {
	switch v := any(v).(type) {
	case time.Duration:
		units := []struct {
			name string
			size time.Duration
		}{{"s", time.Second}, {"ms", time.Millisecond}, {"µs", time.Microsecond}}
		for _, u := range units {
			if v >= u.size {
				return digits(float64(v)/float64(u.size)) + " " + u.name
			}
		}
		return fmt.Sprint(v)
	default:
		return digits(any(v).(float64))
	}
}

func digits(f float64) string {
	switch {
	case f < 9.995:
		return fmt.Sprintf("%.2f", f)
	case f < 99.95:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}

// minRuns is how many a verdict takes.
const minRuns = 5

// verdict judges the ratios of some runs against a budget that they must not
// exceed, or, if atLeast, not fall below.
func verdict(ratios []float64, budget float64, atLeast bool) string {
	if len(ratios) < minRuns {
		return "too few runs"
	}
	s := summarize(ratios)
	best, worst := s.low, s.high
	if atLeast {
		best, worst, budget = -s.high, -s.low, -budget
	}
	switch {
	case cmp.Compare(worst, budget) <= 0:
		return "met"
	case cmp.Compare(best, budget) <= 0:
		return "met within noise"
	}
	return "not met"
}
