// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package results_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/chaos/results"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// told is a run with two nemeses, the second of which did nothing.
func told() *history.History {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	n := func(t int, what history.What, name string) history.Event {
		return history.Event{T: at(t), Proc: history.Nemesis, What: what, Name: name, Value: "client-1"}
	}
	place := func(t int, what history.What, id uint64) history.Event {
		return history.Event{T: at(t), Proc: "client-1", What: what, Kind: history.Mutex, Name: "l", ID: id}
	}
	asks := func(t int, what history.What) history.Event {
		return history.Event{T: at(t), Proc: "client-1", What: what, Kind: history.Session, Name: "s", ID: 99}
	}
	return history.Of(
		place(1, history.Call, 1), place(2, history.Got, 1), // before all nemeses
		n(10, history.Begin, "kill"), n(11, history.Effect, "kill"), n(12, history.Stop, "kill"),
		place(11, history.Call, 2), place(15, history.Failed, 2), // in the time of kill, that is until the next
		asks(1, history.Call), asks(16, history.Checked), asks(17, history.Checked),
		n(20, history.Begin, "cut"), n(21, history.Stop, "cut"),
		place(20, history.Call, 3), place(25, history.Got, 3),
		history.Event{T: at(26), Proc: "client-1", What: history.Saw, Name: "e", Token: 1},
	)
}

func TestCounts(t *testing.T) {
	found := []check.Violation{{Rule: "overlap", Name: "mutex l", From: 22 * time.Second}, {Rule: "vacuous", Name: "run"}}
	r := results.Of(told(), found, results.Head{Backend: "etcd"})
	require.Equal(t, &results.Cell{Faults: 1, Effective: 1, Operations: map[string]int{"mutex": 1, "session": 2}}, r.Nemeses["kill"])
	require.Equal(t, &results.Cell{Faults: 1, Operations: map[string]int{"mutex": 1, "observer": 1}, Violations: map[string]int{"overlap": 1}}, r.Nemeses["cut"])
	require.Len(t, r.Violations, 2, "what belongs to no nemesis counts too")

	r.Add(results.Of(told(), found[:1], results.Head{}))
	require.Equal(t, 2, r.Runs)
	all, effective := r.Faults()
	require.Equal(t, [2]int{4, 2}, [2]int{all, effective})
	require.Equal(t, 10, r.Operations())
	require.Len(t, r.Violations, 3)
	require.Equal(t, map[string]int{"overlap": 2}, r.Nemeses["cut"].Violations)
}

// TestHeal: the longest of all names counts, but not what nobody held before the
// next nemesis.
func TestHeal(t *testing.T) {
	held := func(name string, id uint64, at time.Duration) []history.Event {
		e := history.Event{T: at, Proc: "client-1", Kind: history.Mutex, Name: name, ID: id}
		got, checked := e, e
		got.What, checked.What = history.Got, history.Checked
		return []history.Event{got, checked}
	}
	events := told().Events
	for i, at := range []time.Duration{12500, 13700, 19999} {
		events = append(events, held("abc"[i:i+1], uint64(100+i), at*time.Millisecond)...)
	}
	events = append(events, held("a", 200, 18*time.Second)...)
	events = append(events, held("d", 201, 25*time.Second)...)
	r := results.Of(history.Of(events...), nil, results.Head{})
	require.Equal(t, 7999*time.Millisecond, r.Nemeses["kill"].Heal)
	require.Equal(t, 4*time.Second, r.Nemeses["cut"].Heal)

	// Who waits in vain makes it as long as there was time.
	wants := history.Event{T: 22 * time.Second, Proc: "client-2", What: history.Call, Kind: history.Mutex, Name: "never", ID: 1}
	ends := history.Event{T: 51 * time.Second, Proc: "client-2", What: history.End}
	r = results.Of(history.Of(append(events, wants, ends)...), nil, results.Head{})
	require.Equal(t, 7999*time.Millisecond, r.Nemeses["kill"].Heal, "nobody wanted it then")
	require.InDelta(t, 30*time.Second, r.Nemeses["cut"].Heal, 1)
}

// TestStored: a stored result is read as it was.
func TestStored(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	r := results.Of(told(), nil, results.Head{Backend: "etcd", Profile: "ci", Seed: 7, Began: began, Took: time.Minute})
	r.Missing["full disk"] = "this is not root"
	r.Known = []results.Known{{Name: "kill", Mode: "liveness"}}
	r.Peak.Max(results.Usage{Memory: 5 << 20, Files: 3})
	r.Peak.Max(results.Usage{Memory: 4 << 20, Files: 4})
	require.NoError(t, r.Store(dir))
	require.NoError(t, r.Store(dir), "what is stored again takes the place of the old one")
	all, err := results.Load(dir)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, r, all[0])
	require.Equal(t, results.Usage{Memory: 5 << 20, Files: 4}, all[0].Peak)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.json"), []byte("{"), 0o600))
	_, err = results.Load(dir)
	require.ErrorContains(t, err, "bad.json")
	_, err = results.Load(t.TempDir())
	require.Error(t, err, "no results are none to show")
}

// TestPage: what was done too seldom, not at all, or wrong, is red.
func TestPage(t *testing.T) {
	known := []results.Known{{Name: "kill", Mode: "liveness"}, {Name: "cut", Mode: "safety"}, {Name: "full disk", Mode: "liveness"}}
	row := func(all ...*results.Result) map[string]string {
		var page bytes.Buffer
		require.NoError(t, results.Page(&page, all))
		rows := map[string]string{}
		for line := range strings.Lines(page.String()) {
			if name, rest, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && rows[name] == "" {
				rows[name] = strings.TrimSpace(rest)
			}
			rows["all"] += line
		}
		return rows
	}
	bad := []check.Violation{{Rule: "overlap", Name: "mutex l", From: 22 * time.Second, Text: "two believe"}}
	once := results.Of(told(), bad, results.Head{Backend: "etcd", Profile: "ci", Seed: 7, Began: began})
	once.Known = known
	once.Missing["full disk"] = "this is not root"
	rows := row(once)
	require.Equal(t, "liveness | 1 | 🟥 1 | 2 | 1 | 0 | 0 | 0.0 s | 0 |", rows["kill"])
	require.Equal(t, "safety | 1 | 🟥 0 | 0 | 1 | 0 | 1 | 0.0 s | 🟥 1 |", rows["cut"])
	require.Equal(t, "liveness | 0 | 🟥 0 (not here: this is not root) | 0 | 0 | 0 | 0 | – | 0 |", rows["full disk"])
	require.Contains(t, rows["all"], "two believe")
	require.Contains(t, rows["all"], "**2 faults, 1 of them effective; 5 operations checked; 1 violations.**")

	many := results.New(once.Head)
	many.Known = known
	for range results.Enough {
		many.Add(results.Of(told(), nil, results.Head{}))
	}
	rows = row(many)
	require.Equal(t, "liveness | 10 | 10 | 20 | 10 | 0 | 0 | 0.0 s | 0 |", rows["kill"])
	require.Contains(t, rows["all"], "None.")

	again := results.New(results.Head{Backend: "etcd"}) // runs are summed, by backend
	again.Known = known
	again.Add(results.Of(told(), nil, results.Head{}))
	rows = row(many, again)
	require.Equal(t, "liveness | 11 | 11 | 22 | 11 | 0 | 0 | 0.0 s | 0 |", rows["kill"])
}
