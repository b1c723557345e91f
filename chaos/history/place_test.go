// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/history"
)

// TestPlaces: all that became of a try is told, and nothing of another one's,
// also of one that has the same number in another process.
func TestPlaces(t *testing.T) {
	var at time.Duration
	var events []history.Event
	tell := func(proc string, id uint64, what history.What, e history.Event) {
		at++
		e.T, e.Proc, e.ID, e.What = at, proc, id, what
		events = append(events, e)
	}
	name := history.Event{Kind: history.Election, Name: "e"}
	tell("a", 1, history.Call, name)                                                              // 1
	tell("b", 1, history.Call, name)                                                              // 2
	tell("b", 1, history.Cancel, history.Event{})                                                 // 3
	tell("b", 1, history.Failed, history.Event{Err: "deadline"})                                  // 4
	tell("a", 1, history.Got, history.Event{Kind: history.Election, Name: "e", Token: 9})         // 5
	tell("a", 1, history.Working, history.Event{})                                                // 6
	tell("a", 1, history.Checked, history.Event{})                                                // 7
	tell("a", 1, history.Checked, history.Event{})                                                // 8
	tell("a", 1, history.Lost, history.Event{Err: "session lost"})                                // 9
	tell("a", 1, history.Rested, history.Event{})                                                 // 10
	tell("a", 1, history.Give, history.Event{})                                                   // 11
	tell("a", 1, history.Gave, history.Event{Err: "unknown"})                                     // 12
	tell("b", 2, history.Got, history.Event{Kind: history.Mutex, Name: "l", Token: 4})            // 13
	tell("b", 2, history.Give, history.Event{})                                                   // 14
	tell("b", 2, history.Gave, history.Event{})                                                   // 15
	events = append(events, history.Event{T: 7, Proc: "b", What: history.State, Value: "active"}) // no try
	h := history.Of(events...)
	lives := h.Lives()
	require.Equal(t, []*history.Place{
		{Kind: history.Mutex, Name: "l", Proc: "b", ID: 2, Token: 4, Life: lives["b"][0], Ended: 13, Got: true, Give: 14, Gave: 15},
		{Kind: history.Election, Name: "e", Proc: "a", ID: 1, Token: 9, Life: lives["a"][0], Called: 1, Ended: 5, Got: true, First: 7, Last: 8,
			Working: 6, Lost: 9, Rested: 10, Give: 11, Gave: 12, Err: "unknown", Unacknowledged: true},
		{Kind: history.Election, Name: "e", Proc: "b", ID: 1, Life: lives["b"][0], Called: 2, Canceled: 3, Ended: 4, Err: "deadline"},
	}, h.Places())
	places := h.Places()
	require.Equal(t, map[[2]string][]*history.Place{
		{history.Mutex, "l"}: places[:1], {history.Election, "e"}: places[1:],
	}, history.Names(places))
	require.Equal(t, []time.Duration{14, 9, 0}, []time.Duration{places[0].Over(), places[1].Over(), places[2].Over()})
}

// TestPlacesInOrder: by token, whenever each was called; and those that got
// none at the end, by their calls. Questions may be told in any order.
func TestPlacesInOrder(t *testing.T) {
	try := func(at time.Duration, id, token uint64, what history.What) history.Event {
		return history.Event{T: at, Proc: "a", What: what, Kind: history.Mutex, Name: "l", ID: id, Token: token}
	}
	h := history.Of(try(1, 1, 0, history.Call), try(2, 2, 0, history.Call), try(3, 3, 0, history.Call), try(4, 4, 0, history.Call),
		try(5, 3, 7, history.Got), try(6, 2, 8, history.Got), try(9, 3, 0, history.Checked), try(8, 3, 0, history.Checked))
	var ids []uint64
	for _, p := range h.Places() {
		ids = append(ids, p.ID)
	}
	require.Equal(t, []uint64{3, 2, 1, 4}, ids)
	require.Equal(t, []time.Duration{8, 9}, []time.Duration{h.Places()[0].First, h.Places()[0].Last})
}

// TestWindows: a nemesis may be at work more than once, and beside others.
func TestWindows(t *testing.T) {
	n := func(at time.Duration, what history.What, name, value string) history.Event {
		return history.Event{T: at, Proc: history.Nemesis, What: what, Name: name, Value: value}
	}
	h := history.Of(
		n(1, history.Begin, "kill", "a"), n(2, history.Begin, "ring", "all"), n(3, history.Effect, "kill", "dead"),
		n(4, history.Stop, "kill", "a"), n(5, history.Begin, "kill", "b"), n(6, history.Effect, "kill", "dead too"), n(7, history.Stop, "kill", "b"),
		history.Event{T: 3, Proc: "a", What: history.Stop, Name: "ring"}, n(8, history.Stop, "none", ""), n(8, history.Effect, "none", ""))
	require.Equal(t, []*history.Window{
		{Name: "kill", On: "a", From: 1, To: 4, Effects: []string{"dead"}},
		{Name: "ring", On: "all", From: 2},
		{Name: "kill", On: "b", From: 5, To: 7, Effects: []string{"dead too"}},
	}, h.Windows())
}

// TestLives: each begin is one; who tells of none has one.
func TestLives(t *testing.T) {
	e := func(at time.Duration, proc string, what history.What, id uint64) history.Event {
		return history.Event{T: at, Proc: proc, What: what, ID: id}
	}
	h := history.Of(e(1, "a", history.Born, 0), e(2, "a", history.Call, 1), e(4, "a", history.Failed, 1), e(5, "a", history.Born, 0),
		e(6, "a", history.Call, 2), e(8, "a", history.End, 0), e(3, "b", history.Call, 1), e(7, "b", history.Failed, 1))
	lives := h.Lives()
	require.Equal(t, history.Lives{
		"a": {{Proc: "a", Number: 1, Born: true, From: 1, To: 4}, {Proc: "a", Number: 2, Born: true, From: 5, To: 8, Ended: 8}},
		"b": {{Proc: "b", Number: 1, From: 3, To: 7}},
	}, lives)
	require.Equal(t, 1, lives.Of(e(4, "a", history.Failed, 1)).Number)
	require.Equal(t, 2, lives.Of(e(5, "a", history.Born, 0)).Number)
	require.Nil(t, lives.Of(e(4, "c", history.Call, 1)))
	for _, p := range h.Places() {
		want := lives["b"][0]
		if p.Proc == "a" {
			want = lives["a"][p.ID-1]
		}
		require.Equal(t, want, p.Life)
	}
}

// TestHas: who has written nothing has a history too.
func TestHas(t *testing.T) {
	dir := t.TempDir()
	w, err := history.Create(dir, history.Server)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	h, err := history.Load(dir)
	require.NoError(t, err)
	require.True(t, h.Has(history.Server))
	require.False(t, h.Has(history.Resource))
	require.True(t, history.Of(history.Event{Proc: "a"}).Has("a"))
}

// TestNextLifeAfterACut: what the last life has not written to its end does not
// spoil what the next one writes, nor what was whole.
func TestNextLifeAfterACut(t *testing.T) {
	const line = `{"t":1,"p":"a","w":"born"}` + "\n"
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"whole": {line + line, 3}, "cut": {line + `{"t":2,"p"`, 2}, "nothing": {"", 1}, "only a piece": {`{"t"`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.jsonl"), []byte(c.text), 0o600))
			w, err := history.Create(dir, "a")
			require.NoError(t, err)
			w.Tell(history.Event{What: history.Born})
			require.NoError(t, w.Close())
			h, err := history.Load(dir)
			require.NoError(t, err)
			require.Len(t, h.Events, c.want)
		})
	}
}
