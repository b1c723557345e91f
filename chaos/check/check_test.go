// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
)

// TestGoodStoriesPass: what is as it should be is not objected to.
func TestGoodStoriesPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if found := check.All(history.Of(drawStory(t, 1).events...), check.Bounds{Liveness: true}); len(found) > 0 {
			t.Log(found)
			t.Fatal("a good history is objected to")
		}
	})
	assert.Empty(t, check.All(history.Of(plain().events...), check.Bounds{Liveness: true}))
}

// TestAnyOverlapIsConvicted: a holder that is told yes once more after the next
// one has it, anywhere in any story, is found by two rules that know nothing of
// each other.
func TestAnyOverlapIsConvicted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStory(t, 2)
		var holders []history.Event
		for _, e := range s.events {
			if e.What == history.Got {
				holders = append(holders, e)
			}
		}
		i := rapid.IntRange(0, len(holders)-2).Draw(t, "holder")
		late, next := holders[i], holders[i+1]
		late.What, late.T = history.Checked, next.T+time.Microsecond
		next.What, next.T = history.Checked, next.T+2*time.Microsecond
		s.tell(late)
		s.tell(next)
		rules := s.rules(check.Bounds{})
		if !rules["overlap"] {
			t.Fatal("not found by the overlap rule")
		}
		if !rules["linear"] {
			t.Fatal("not found by porcupine")
		}
	})
}

// TestPauseIsNoOverlap: a question that a pause cuts in two counts as old as it
// is; one that is asked after it does not.
func TestPauseIsNoOverlap(t *testing.T) {
	s := &story{now: time.Second}
	s.turn("client-0", 1, 0, 3, true)
	s.turn("client-1", 2, time.Second, 3, false)
	asked := s.find(history.Got, 0)
	asked.What, asked.T = history.Checked, s.find(history.Got, 1).T-1
	s.tell(asked) // written late
	require.Empty(t, check.All(history.Of(s.events...), check.Bounds{}))
	asked.T += 2
	s.tell(asked)
	require.NotEmpty(t, check.All(history.Of(s.events...), check.Bounds{}))
}

// TestSessionsAreAsked: one that its owner has closed, or that was told in time,
// is not objected to, and nobody waits for it.
func TestSessionsAreAsked(t *testing.T) {
	s := plain()
	s.asks("client-0", "abc", 0, 1, 2, 3, 4, 5, 6, 7, 8, s.now)
	s.has(10)
	s.tell(history.Event{T: s.now + 1, Proc: history.Server, What: history.Deleted, Name: "p/session/abc"})
	s.tell(history.Event{T: time.Second, Proc: history.Server, What: history.Deleted, Name: "p/mutex/l/abc"})
	s.tell(history.Event{T: time.Second, Proc: history.Server, What: history.Deleted, Name: "p/session/another"})
	require.Empty(t, check.All(history.Of(s.events...), check.Bounds{Liveness: true}))
}

// TestDeadInLine: one that was killed while it waited keeps all behind it
// waiting until its lease ends; what is given back meanwhile is not lost.
func TestDeadInLine(t *testing.T) {
	s := plain()
	plants["a lost unlock"].plant(s)
	gave := s.find(history.Gave, 23)
	s.nemesis("kill", "client-2", gave.T-time.Second, gave.T-time.Second+2)
	require.NotContains(t, s.rules(check.Bounds{Liveness: true}), "unlock")
}

// TestLives: what a life did before it was killed is not what the next one does.
// It gave up a wait a moment before, and another one is never heard of again.
func TestLives(t *testing.T) {
	s := plain()
	for i, at := range []time.Duration{8 * sec, 10 * sec} {
		s.tell(history.Event{T: at, Proc: "client-9", What: history.Born, Value: "77"})
		s.tries("client-9", "w", uint64(10*i+1), at, history.Call)
		s.tries("client-9", "w", uint64(10*i+2), at, history.Call)
		s.tries("client-9", "w", uint64(10*i+1), at+sec, history.Cancel)
	}
	s.nemesis("kill", "client-9", 9*sec+1, 9*sec+2)
	s.tell(history.Event{T: 11*sec + sec/2, Proc: "client-9", What: history.End})
	// Nobody who lives waits for what is given back while it is dead and stays in line.
	s.holds("client-1", "w", 3, 12*sec, 16*sec)
	require.Empty(t, check.All(history.Of(s.events...), check.Bounds{Liveness: true}))
}

// TestSecondLifeOfAnObserver: one whose life is over need not see what comes.
func TestSecondLifeOfAnObserver(t *testing.T) {
	s := plain()
	born(s, 5*sec, 8*sec)
	looks(s, "client-9", "e")
	s.nemesis("kill", "client-9", 8*sec+100, 9*sec)
	s.tell(history.Event{T: 10 * sec, Proc: "client-9", What: history.Born, Value: "78"})
	s.tell(history.Event{T: s.now, Proc: "client-9", What: history.End})
	s.leads("e", 10, 20*sec)
	require.Empty(t, s.rules(check.Bounds{Liveness: true}))
	s.sees("client-9", "e", 11*sec, 9)
	require.Equal(t, map[string]bool{"observe": true}, s.rules(check.Bounds{Liveness: true}))
}

// TestStuckWithoutNemesis: who has no nemesis to wait for has to come to speed too.
func TestStuckWithoutNemesis(t *testing.T) {
	for out := range time.Duration(2) {
		s := &story{}
		looks(s, "client-0", "e")
		s.leads("e", 10, 9*sec)
		stops(s, "e", 18*sec-1+out)
		require.Equal(t, out == 1, s.rules(check.Bounds{})["observe"])
	}
}

// TestErrorsAreCounted: the same text is one violation, and there are not more
// than can be read.
func TestErrorsAreCounted(t *testing.T) {
	s := plain()
	for i := range 25 {
		for range 2 {
			s.tell(history.Event{T: sec + time.Duration(i), Proc: "client-0", What: history.Lost, Err: fmt.Sprint(history.Unexpected, i)})
		}
	}
	s.tell(history.Event{T: 3 * sec, Proc: "client-1", What: history.Lost, Err: history.Unexpected + "0"})
	found := check.All(history.Of(s.events...), check.Bounds{})
	require.Len(t, found, 20)
	require.Equal(t, check.Violation{Rule: "errors", Name: "client-0", From: sec, To: 3 * sec, Text: "lost: unexpected: 0 (3 times)"}, found[0])
}

// TestHealWithoutEffect: a nemesis that was not felt is over all the same, and
// before the last of them nothing is due without a quorum.
func TestHealWithoutEffect(t *testing.T) {
	s := plain()
	plants["nobody after the nemesis"].plant(s)
	s.drop(history.Effect, 0)
	require.Equal(t, map[string]bool{"heal": true, "vacuous": true}, s.rules(check.Bounds{Liveness: true}))

	s = plain()
	s.nemesis("reset", "client-1", calmAt+12*sec, calmAt+12*sec+1)
	wantsFrom(s, 1, calmAt-sec, calmAt+13*sec)
	require.True(t, s.rules(check.Bounds{Liveness: true})["heal"])
	require.Empty(t, s.rules(check.Bounds{}))
	s.nemesis("leader killed", "server 1", calmAt, 0)
	require.False(t, s.rules(check.Bounds{Liveness: true})["heal"], "it is at work still")

	s = plain()
	s.does("client-0", "m", sec/10, history.Call)
	s.does("client-0", "m", s.find(history.Begin, 0).T, history.Failed)
	s.nemesis("leader killed", "server 1", 30*sec, 0)
	require.Empty(t, s.rules(check.Bounds{Liveness: true}), "no nemesis was over before the first one")

	s = plain() // it ends soon after its last nemesis
	s.nemesis("reset", "client-1", s.now-2*sec, s.now-sec)
	s.does("client-0", "m", s.now-3*sec, history.Call)
	require.Equal(t, map[string]bool{"heal": true}, s.rules(check.Bounds{Liveness: true}))
	require.Empty(t, s.rules(check.Bounds{}))
}

// TestNoNemesis: a run that has a history of nemeses, and none in it, proves
// nothing; what has none is no run.
func TestNoNemesis(t *testing.T) {
	dir := t.TempDir()
	w, err := history.Create(dir, "client-0")
	require.NoError(t, err)
	w.Tell(history.Event{What: history.End})
	require.NoError(t, w.Close())
	judged := func() (text []string) {
		h, err := history.Load(dir)
		require.NoError(t, err)
		for _, v := range check.All(h, check.Bounds{}) {
			text = append(text, v.Text)
		}
		return text
	}
	require.Empty(t, judged())
	w, err = history.Create(dir, history.Nemesis)
	require.NoError(t, err)
	require.Equal(t, []string{"no nemesis was at work"}, judged())
	w.Tell(history.Event{What: history.Begin, Name: "cut"})
	w.Tell(history.Event{What: history.Effect, Name: "cut"})
	require.NoError(t, w.Close())
	require.Equal(t, []string{"0 places got before the first nemesis, fewer than 10"}, judged())
	for _, other := range []string{history.Server, history.Resource} {
		w, err = history.Create(dir, other)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	require.Equal(t, []string{
		"0 keys that the servers had, fewer than 10", "0 places got before the first nemesis, fewer than 10",
		"0 writes that the resource took, fewer than 10",
	}, judged())
}

// TestPicture: porcupine's page is written, for a good and for a bad one.
func TestPicture(t *testing.T) {
	s := plain()
	plants["two believe at once"].plant(s)
	for name, h := range map[string]*history.History{"good": history.Of(plain().events...), "bad": history.Of(s.events...)} {
		file := filepath.Join(t.TempDir(), name+".html")
		require.NoError(t, check.Picture(h, history.Mutex, "l", file))
		page, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(page), "cut on client-1")
	}
	require.Error(t, check.Picture(history.Of(s.events...), history.Mutex, "another", "unused.html"))
}
