// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
)

// TestOpinion: only one that says yes acquits.
func TestOpinion(t *testing.T) {
	require.Empty(t, check.Opinion(porcupine.Ok))
	require.Equal(t, "not linearizable", check.Opinion(porcupine.Illegal))
	require.Contains(t, check.Opinion(porcupine.Unknown), "not decided")
}

// TestOperations: a lock is taken between the call and its answer, and let go
// between the last yes and the end of giving it back, or at any time after it.
func TestOperations(t *testing.T) {
	for name, c := range map[string]struct {
		place history.Place
		want  [][2]time.Duration
	}{
		"given back":       {history.Place{Got: true, Called: 1, Ended: 3, First: 4, Last: 5, Give: 7, Gave: 9}, [][2]time.Duration{{1, 3}, {7, 9}}},
		"asked meanwhile":  {history.Place{Got: true, Called: 1, Ended: 3, First: 4, Last: 8, Give: 7, Gave: 9}, [][2]time.Duration{{1, 3}, {8, 9}}},
		"believed later":   {history.Place{Got: true, Called: 1, Ended: 3, First: 4, Last: 10, Give: 7, Gave: 9}, [][2]time.Duration{{1, 3}, {10, 20 + time.Hour}}},
		"not confirmed":    {history.Place{Got: true, Called: 1, Ended: 3, First: 4, Last: 5, Give: 7, Gave: 9, Unacknowledged: true}, [][2]time.Duration{{1, 3}, {5, 20 + time.Hour}}},
		"lost":             {history.Place{Got: true, Called: 1, Ended: 3, First: 4, Last: 5, Give: 7, Gave: 9, Lost: 6}, [][2]time.Duration{{1, 3}, {5, 20 + time.Hour}}},
		"never given back": {history.Place{Got: true, Called: 1, Ended: 3, First: 4, Last: 5}, [][2]time.Duration{{1, 3}, {5, 20 + time.Hour}}},
		"never believed":   {history.Place{Got: true, Called: 1, Ended: 3, Give: 7, Gave: 9}, nil},
		"not got":          {history.Place{Called: 1, Ended: 3, First: 4}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var times [][2]time.Duration
			for _, o := range check.Operations([]*history.Place{&c.place}, 20) {
				times = append(times, [2]time.Duration{time.Duration(o.Call), time.Duration(o.Return)})
			}
			require.Equal(t, c.want, times)
		})
	}
}
