// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSummarize(t *testing.T) {
	of := []float64{5, 1, 100, 2, 4}
	require.Equal(t, stats[float64]{2, 4, 5}, summarize(of))
	require.Equal(t, []float64{5, 1, 100, 2, 4}, of, "keeps the order of the runs")
	require.Equal(t, stats[float64]{7, 7, 7}, summarize([]float64{7}))
	require.Equal(t, stats[float64]{1.25, 1.5, 1.75}, summarize([]float64{2, 1}))
	require.Equal(t, 2500*time.Microsecond, median([]time.Duration{time.Millisecond, 3 * time.Millisecond, 9 * time.Millisecond, 2 * time.Millisecond}))
}

func TestShort(t *testing.T) {
	for want, v := range map[string]time.Duration{
		"0s": 0, "999ns": 999, "1.00 µs": 1000, "12.3 µs": 12345, "412 µs": 412_499,
		"45.7 ms": 45_678 * time.Microsecond, "1.20 s": 1200 * time.Millisecond,
	} {
		require.Equal(t, want, short(v))
	}
	for want, v := range map[string]float64{"0.00": 0, "9.99": 9.99, "10.0": 9.996, "99.9": 99.94, "100": 99.96, "1234": 1234.4} {
		require.Equal(t, want, short(v))
	}
}

func TestVerdict(t *testing.T) {
	at := func(vs ...float64) []float64 { return vs }
	for name, c := range map[string]struct {
		ratios  []float64
		budget  float64
		atLeast bool
		want    string
	}{
		"all within":              {at(1.0, 1.1, 1.1, 1.1, 1.2), 1.2, false, "met"},
		"one run elsewhere":       {at(1.0, 1.1, 1.1, 1.1, 9.0), 1.2, false, "met"},
		"budget in upper half":    {at(1.0, 1.1, 1.1, 1.3, 1.4), 1.2, false, "met within noise"},
		"budget in lower half":    {at(1.0, 1.1, 1.3, 1.3, 1.4), 1.2, false, "met within noise"},
		"one lucky run":           {at(1.0, 1.3, 1.3, 1.3, 1.4), 1.2, false, "not met"},
		"beyond":                  {at(2, 2, 2, 2, 2), 1.2, false, "not met"},
		"at least, all within":    {at(50, 60, 60, 60, 70), 50, true, "met"},
		"at least, within spread": {at(40, 45, 49, 51, 70), 50, true, "met within noise"},
		"at least, beyond":        {at(40, 45, 49, 49, 70), 50, true, "not met"},
		"too few":                 {at(1, 1, 1, 1), 50, false, "too few runs"},
	} {
		require.Equal(t, c.want, verdict(c.ratios, c.budget, c.atLeast), name)
	}
}
