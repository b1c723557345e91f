// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/shard"
)

// A member that leaves and one that comes make one plan.
func TestLeaveAndJoinAreOnePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 60)
		o := shard.Options{Settle: time.Second}
		a, b := w.join("a", o, nil), w.join("b", o, nil)
		w.becomes(3*time.Second, "a", "b")
		w.forget()
		c := w.join("c", o, nil)
		a.leave()
		w.becomes(3*time.Second, "b", "c")
		<-a.left
		require.Equal(t, 30, w.starts, "each shard that moved moved once")
		require.Zero(t, w.gap)
		require.Equal(t, "drain a; join c", w.plans[0].Cause)
		require.Equal(t, 30, w.plans[0].Moves)
		require.Equal(t, 30, w.plans[0].Minimum)
		b.goes()
		c.goes()
	})
}

// A member that comes back within its grace finds its shards where they were.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 60)
		o := shard.Options{Grace: 30 * time.Second}
		a, b, c := w.join("a", o, nil), w.join("b", o, nil), w.join("c", o, nil)
		w.becomes(3*time.Second, "a", "b", "c")
		w.forget()
		c.faults.Partition(true, true)
		time.Sleep(25 * time.Second) // the lease is over since 15 s
		require.Equal(t, 40, len(w.owners()))
		c.faults.Heal()
		w.becomes(12*time.Second, "a", "b", "c")
		require.Equal(t, 20, w.starts, "others' shards moved")

		// One that stays away for longer loses them.
		c.faults.Partition(true, true)
		w.becomes(45*time.Second, "a", "b")
		c.faults.Heal()
		w.becomes(15*time.Second, "a", "b", "c")
		a.goes()
		b.goes()
		c.goes()
	})
}

// When most members vanish at once, their shards wait for a while.
func TestBrake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 60)
		var ms []*member
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			ms = append(ms, w.join(id, shard.Options{BrakeHold: time.Minute}, nil))
		}
		w.becomes(3*time.Second, "a", "b", "c", "d", "e")
		// The planner is among those that stay or among those that go.
		for _, m := range ms[:3] {
			m.faults.Partition(true, true)
		}
		time.Sleep(40 * time.Second)
		require.Equal(t, map[string]int{"d": 12, "e": 12}, w.counts())
		w.becomes(time.Minute, "d", "e")

		// Those who come back in time have theirs again.
		for _, m := range ms[:3] {
			m.faults.Heal()
		}
		w.becomes(15*time.Second, "a", "b", "c", "d", "e")
		for _, m := range ms[2:] {
			m.faults.Partition(true, true)
		}
		// Now their leases do not end at the same moment: the shards of the first two move.
		time.Sleep(25 * time.Second)
		n := w.counts()
		require.LessOrEqual(t, n["a"]+n["b"], 48)
		for _, m := range ms[2:] {
			m.faults.Heal()
		}
		w.becomes(15*time.Second, "a", "b", "c", "d", "e")

		// A fleet that is replaced as a whole does not wait.
		for _, m := range ms {
			m.faults.Partition(true, true)
		}
		time.Sleep(20 * time.Second)
		var ids []string
		for _, id := range []string{"k", "l", "m", "n", "o"} {
			ids = append(ids, id)
			ms = append(ms, w.join(id, shard.Options{BrakeHold: time.Minute}, nil))
			time.Sleep(time.Second)
		}
		w.becomes(time.Second, ids...)
		for _, m := range ms[5:] {
			m.goes()
		}
	})
}

func TestMinMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6)
		o := shard.Options{MinMembers: 3}
		a, b := w.join("a", o, nil), w.join("b", o, nil)
		time.Sleep(time.Minute)
		require.Empty(t, w.counts())
		require.Zero(t, a.g.Table().Epoch())
		c := w.join("c", o, nil)
		w.becomes(time.Second, "a", "b", "c")
		require.EqualValues(t, 1, a.g.Table().Epoch())
		c.goes() // afterwards fewer will do
		w.becomes(time.Second, "a", "b")
		a.goes()
		b.goes()
	})
}

func TestMaxMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 100)
		o := shard.Options{MaxMoves: 10, MoveEvery: 5 * time.Second}
		a := w.join("a", o, nil)
		w.becomes(time.Second, "a")
		w.forget()
		b := w.join("b", o, nil)
		took := w.becomes(time.Minute, "a", "b")
		require.InDelta(t, 20, took.Seconds(), 1)
		for _, p := range w.plans {
			require.LessOrEqual(t, p.Moves, 10)
		}
		require.Zero(t, w.gap)
		// Neither what a dead member leaves nor what one that leaves gives waits.
		b.goes()
		require.Less(t, w.becomes(time.Minute, "a"), time.Second)
		a.goes()
	})
}

func TestPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8)
		a, b := w.join("a", shard.Options{}, nil), w.join("b", shard.Options{}, nil)
		w.becomes(time.Second, "a", "b")
		for s := range 5 {
			require.NoError(t, a.g.Pin(t.Context(), s, "b"))
		}
		w.settle()
		require.Equal(t, map[string]int{"a": 3, "b": 5}, w.counts())
		for s := range 5 {
			require.Equal(t, "b", w.owners()[s])
		}
		e, err := a.g.Explain(t.Context(), 2)
		require.NoError(t, err)
		require.Contains(t, e.String(), "; it is pinned to b")
		b.goes()
		w.becomes(time.Second, "a")
		b = w.join("b", shard.Options{}, nil)
		w.settle()
		require.Equal(t, map[string]int{"a": 3, "b": 5}, w.counts())
		for s := range 8 {
			require.NoError(t, a.g.Unpin(t.Context(), s))
		}
		w.becomes(time.Second, "a", "b")
		require.ErrorContains(t, a.g.Pin(t.Context(), 8, "b"), `shard group "orders": pin: shard is 8, must be from 0 to 7`)
		require.ErrorContains(t, a.g.Pin(t.Context(), 1, ""), "name is empty")
		a.goes()
		b.goes()
	})
}

// In a roll-out that replaces every member, shards do not go to members that are
// about to be replaced.
func TestRollOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 100)
		old := []*member{}
		for _, id := range []string{"a1", "b1", "c1", "d1", "e1"} {
			old = append(old, w.join(id, shard.Options{Version: "v1"}, nil))
		}
		w.becomes(3*time.Second, "a1", "b1", "c1", "d1", "e1")
		w.forget()
		young := []*member{}
		for i, id := range []string{"a2", "b2", "c2", "d2", "e2"} {
			young = append(young, w.join(id, shard.Options{Version: "v2"}, nil))
			w.settle()
			old[i].goes()
			w.settle()
		}
		w.becomes(3*time.Second, "a2", "b2", "c2", "d2", "e2")
		require.LessOrEqual(t, w.starts, 130, "moves of 100 shards")
		require.Zero(t, w.gap)
		for _, m := range young {
			m.goes()
		}
	})
}

// Loads move shards from the hottest member to the coldest, and then rest.
func TestLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 20)
		var a *member
		o := shard.Options{LoadEvery: 10 * time.Second, Load: func(context.Context) ([]uint32, error) {
			if a == nil || a.g.Table().Epoch() == 0 {
				return nil, errors.New("not yet")
			}
			load := make([]uint32, 20)
			for s := range load {
				load[s] = 10
				if w.owners()[s] == "a" || s < 3 {
					load[s] = 30
				}
			}
			return load, nil
		}}
		a = w.join("a", o, nil)
		b := w.join("b", o, nil)
		w.becomes(3*time.Second, "a", "b")
		time.Sleep(5 * time.Minute)
		n := w.counts()
		require.Equal(t, 20, n["a"]+n["b"])
		require.NotEmpty(t, w.plans)
		require.Equal(t, "load", w.plans[len(w.plans)-1].Cause)
		a.goes()
		b.goes()
	})
}

// The planner dies at each of its steps: before and after each of its writes in a
// join, and in what follows a crash. Nothing is left undone.
func TestPlannerDiesAtEachStep(t *testing.T) {
	for step := 1; ; step++ {
		met := false
		for _, answered := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 30)
				o := shard.Options{Brake: 100}
				a := w.join("a", o, nil)
				w.becomes(time.Second, "a")
				b := w.join("b", o, nil)
				w.becomes(time.Second, "a", "b")
				n, died := 0, false
				remove := a.faults.Inject(func(c adaptertest.Call) bool {
					if c.Method != "Commit" {
						return false
					}
					if n++; n != step {
						return false
					}
					met, died = true, true
					// The write is the last thing that gets through, or does not.
					go a.faults.Partition(true, true)
					return true
				}, map[bool]adaptertest.Fault{true: {Lose: true}, false: {Err: errors.New("died")}}[answered])
				c := w.join("c", o, nil)
				b.faults.Partition(true, true)
				if time.Sleep(25 * time.Second); died {
					w.becomes(time.Second, "c")
				}
				remove()
				a.faults.Heal()
				b.faults.Heal()
				w.becomes(15*time.Second, "a", "b", "c")
				a.goes()
				b.goes()
				c.goes()
			})
		}
		if !met {
			require.Greater(t, step, 5)
			t.Logf("%d steps", step-1)
			return
		}
	}
}
