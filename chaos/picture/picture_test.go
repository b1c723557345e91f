// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package picture_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/chaos/picture"
)

const ms = time.Millisecond

// boot is when runs begin: the clock counts from a start that is long ago.
const boot = 100 * time.Hour

// turns are places that some processes take and give back in turn, for 20 ms
// each, on locks of some names.
func turns(n, procs int, names ...string) (events []history.Event) {
	for i := range n {
		name := names[i%len(names)]
		at := boot + time.Duration(i)*30*ms
		place := history.Event{Proc: fmt.Sprint("client-", i%procs), Kind: history.Mutex, Name: name, ID: uint64(i + 1), Token: uint64(i + 1)}
		tell := func(t time.Duration, w history.What) {
			e := place
			e.T, e.What = at+t, w
			events = append(events, e)
		}
		tell(0, history.Call)
		tell(5*ms, history.Got)
		tell(10*ms, history.Checked)
		tell(20*ms, history.Checked)
		tell(21*ms, history.Give)
		tell(22*ms, history.Gave)
	}
	return events
}

func nemesis(name, on string, from, to time.Duration) []history.Event {
	e := history.Event{Proc: history.Nemesis, Name: name}
	begin, effect, stop := e, e, e
	begin.T, begin.What, begin.Value = boot+from, history.Begin, on
	effect.T, effect.What, effect.Value = boot+from+ms, history.Effect, "it was felt"
	stop.T, stop.What = boot+to, history.Stop
	return []history.Event{begin, effect, stop}
}

// late has the holder of a token be told yes once more after it gave it back.
func late(events []history.Event, token uint64, at time.Duration) []history.Event {
	for _, e := range events {
		if e.What == history.Got && e.Token == token {
			e.What, e.T = history.Checked, boot+at
			return append(slices.Clone(events), e)
		}
	}
	panic("no such token")
}

// TestOverlap: token 11 has its lock from 305 ms on, 12 of the other lock from
// 335, 13 from 365; token 11 is told yes until 375.
func TestOverlap(t *testing.T) {
	events := late(turns(40, 4, "jobs/7", "other"), 11, 375*ms)
	events = append(events, nemesis("cut", "client-2", 290*ms, 400*ms)...)
	h := history.Of(events...)
	found := check.All(h, check.Bounds{Got: 1})
	require.NotEmpty(t, found)
	d := draw(t, h, found, picture.Head{Title: "A run", Seed: 77, Backend: "etcd", Command: "go test ./chaos"})

	require.Len(t, d.list, len(found))
	require.Equal(t, []string{"1", "overlap", "mutex jobs/7", "0.365 s to 0.375 s", found[0].Text}, d.list[0])
	require.Equal(t, []bool{true, false}, d.open, "the name with the violation comes first and is open")
	require.Less(t, strings.Index(d.page, "<summary>mutex jobs/7"), strings.Index(d.page, "<summary>mutex other"))
	for _, text := range []string{"A run", "seed 77", "etcd · ", "<pre>go test ./chaos</pre>"} {
		require.Contains(t, d.page, text)
	}

	// Everywhere it is drawn, it is on both lanes, and where the time is.
	whole := d.svgs[0].all("overlap")
	require.Len(t, whole, 1)
	near := d.svgs[1]
	clash := near.all("overlap")
	require.Len(t, clash, 1)
	require.Contains(t, clash[0].words(), "Overlap of 10ms, 0.365 s to 0.375 s: client-2 with token 11 still believes, and client-0 has it with token 13")
	require.Len(t, clash[0].Nodes, 4, "a title, the band, and a piece of each bar")
	older, newer := bar(t, near, "token 11,"), bar(t, near, "token 13,")
	require.NotEqual(t, older.attr("y"), newer.attr("y"))
	var ys []string
	for _, piece := range clash[0].Nodes[2:] {
		ys = append(ys, piece.attr("y"))
		x, end := piece.number(t, "x"), piece.number(t, "x")+piece.number(t, "width")
		require.InDelta(t, newer.number(t, "x"), x, 0.2, "begins when the newer one has it")
		require.InDelta(t, older.number(t, "x")+older.number(t, "width"), end, 0.2, "ends when the older one was last told so")
	}
	require.ElementsMatch(t, []string{older.attr("y"), newer.attr("y")}, ys)

	// The nemesis is behind all lanes of it, and names whom it hits.
	shade := near.all("nemesis")
	require.Len(t, shade, 1)
	require.Contains(t, shade[0].words(), "cut on client-2, 0.290 s to 0.400 s; it was felt")
	require.LessOrEqual(t, shade[0].Nodes[1].number(t, "x"), older.number(t, "x"))
	require.Len(t, near.all("on"), 1)
	require.Contains(t, d.page, `<a href="#at-1">`)
	require.Len(t, near.all("mark"), 1)
	require.Equal(t, "at-1", near.all("mark")[0].attr("id"), "what the list leads to")
}

// bar returns the belief whose title has a text.
func bar(t *testing.T, svg *node, text string) *node {
	t.Helper()
	for _, b := range svg.all("bar") {
		if strings.Contains(b.words(), text) {
			return b
		}
	}
	t.Fatalf("no bar with %q", text)
	return nil
}

// TestClean: where nothing is wrong, nothing is red and all is folded.
func TestClean(t *testing.T) {
	events := append(turns(40, 4, "a", "b"), nemesis("cut", "client-2", 290*ms, 400*ms)...)
	events = append(events,
		// One that is told late that it has it, and knows better, is no holder.
		history.Event{T: boot + 12*ms, Proc: "client-9", What: history.Got, Kind: history.Mutex, Name: "a", ID: 1},
		history.Event{T: boot + 1, Proc: "client-9", What: history.Call, Kind: history.Session, Name: "s", ID: 2},
		history.Event{T: boot + 2, Proc: "client-9", What: history.Checked, Kind: history.Session, Name: "s", ID: 2})
	h := history.Of(events...)
	found := check.All(h, check.Bounds{Got: 1})
	require.Empty(t, found)
	d := draw(t, h, found, picture.Head{})
	require.Empty(t, d.red())
	require.Empty(t, d.list)
	require.Contains(t, d.page, "No violation.")
	require.Contains(t, d.page, "0 violations in 1.192 s: 246 events of 41 places under 1 nemesis")
	require.Equal(t, []bool{false, false}, d.open)
	require.Contains(t, d.page, "Not drawn: 1 session.")
	require.Len(t, d.svgs, 3)
}

// TestHostile: whatever others are called and say stays text.
func TestHostile(t *testing.T) {
	evil := "</title></svg><script>alert('1')</script><b a=\"x\">&\x00\x1b]8;;\u202e\n"
	events := late(turns(6, 2, evil), 3, 100*ms)
	for i := range events {
		events[i].Proc = evil + events[i].Proc
	}
	events = append(events, nemesis(evil, evil, 10*ms, 20*ms)...)
	events = append(events, history.Event{T: boot + 200*ms, Proc: evil, What: history.Leak, Value: evil})
	h := history.Of(events...)
	found := append(check.All(h, check.Bounds{}), check.Violation{Rule: evil, Name: evil, Text: evil})
	d := draw(t, h, found, picture.Head{Title: evil, Backend: evil, Command: evil})
	require.NotEmpty(t, d.red())
	for _, svg := range d.svgs {
		for _, name := range svg.elements() {
			require.Contains(t, []string{"a", "g", "line", "path", "rect", "text", "title"}, name)
		}
	}
	require.NotContains(t, d.page, "<b a=")
	require.Contains(t, d.list[len(d.list)-1][2], `<script>alert('1')</script><b a="x">&`)
	for _, c := range "\x00\x1b\u202e" {
		require.NotContains(t, d.page, string(c))
	}
}

// limit is what no page is larger than. A browser opens that at once.
const limit = 4 << 20

// TestLong: five minutes with 10,000 places stay a page that can be opened, and
// say what they leave out.
func TestLong(t *testing.T) {
	events := turns(10_000, 5, "a", "b", "c")
	for i := range 20 {
		events = append(events, nemesis("cut", "client-1", time.Duration(i)*15*time.Second, time.Duration(i)*15*time.Second+5*time.Second)...)
	}
	all := events
	for token := range uint64(30) {
		all = late(all, token+1, time.Duration(token)*30*ms+200*ms)
	}
	everywhere := slices.Clone(events)
	for i, e := range everywhere {
		if e.What == history.Give {
			everywhere[i].What, everywhere[i].T = history.Checked, e.T+200*ms
		}
	}
	for name, events := range map[string][]history.Event{"clean": events, "some": all, "everywhere": everywhere} {
		t.Run(name, func(t *testing.T) {
			h := history.Of(events...)
			var found []check.Violation
			if name != "clean" {
				for i := range 5000 {
					at := boot + time.Duration(i)*60*ms
					found = append(found, check.Violation{Rule: "overlap", Name: "mutex a", From: at, To: at + 10*ms, Text: "made up"})
				}
			}
			d := draw(t, h, found, picture.Head{})
			t.Log(len(d.page)>>10, "KiB,", len(d.svgs), "pictures")
			require.Less(t, len(d.page), limit)
			require.Contains(t, d.page, "Coarse: ")
			require.Contains(t, d.page, "are drawn coarsely only")
			require.Equal(t, name == "clean", len(d.red()) == 0)
			if name != "clean" {
				require.Contains(t, d.page, "4800 more are not listed.")
			}
		})
	}
}

// TestOdd: histories that are hardly any are drawn too.
func TestOdd(t *testing.T) {
	for name, events := range map[string][]history.Event{
		"nothing":            nil,
		"one event":          {{T: 5, Proc: "a", What: history.End}},
		"only a wait":        {{T: 5, Proc: "a", What: history.Call, Kind: history.Mutex, Name: "l", ID: 1}},
		"got without a call": {{T: 5, Proc: "a", What: history.Got, Kind: history.Mutex, Name: "l", ID: 1, Token: 1}},
		"no name":            {{T: 5, Proc: "a", What: history.Checked, ID: 1}},
		"a nemesis that never stops": append(nemesis("stop", "a", 0, time.Second)[:1],
			history.Event{T: boot + time.Second, Proc: "a", What: history.Call, Kind: history.Election, Name: "e", ID: 1}),
	} {
		t.Run(name, func(t *testing.T) {
			found := []check.Violation{
				{Rule: "vacuous", Name: "run", Text: "nothing happened"},
				{Rule: "vacuous", Name: "stop", From: boot, To: 0, Text: "ends before it begins"},
				{Rule: "linear", Name: "mutex l", To: 1000 * time.Hour, Text: "ends after the end"},
			}
			d := draw(t, history.Of(events...), found, picture.Head{})
			require.Len(t, d.list, len(found))
		})
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// TestWriteFails: a page that is not there is an error.
func TestWriteFails(t *testing.T) {
	require.ErrorContains(t, picture.Write(full{}, history.Of(), nil, picture.Head{}), "disk full")
}

// TestKilledTwice: a wait of one that was killed ends with its life, not with
// that of who came back under its name.
func TestKilledTwice(t *testing.T) {
	tell := func(t time.Duration, w history.What, id uint64) history.Event {
		return history.Event{T: boot + t, Proc: "a", What: w, Kind: history.Mutex, Name: "l", ID: id, Token: id}
	}
	h := history.Of(tell(0, history.Call, 10), tell(100*ms, history.Call, 11), tell(200*ms, history.Got, 11),
		tell(5*time.Second, history.Call, 5_000_000_000), tell(6*time.Second, history.Failed, 5_000_000_000))
	d := draw(t, h, nil, picture.Head{})
	require.Contains(t, d.page, "a waits, 0.000 s to 0.200 s: nothing is known of its end")
}
