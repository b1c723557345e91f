// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/shard"
)

// A schedule is what happens to a group in one run: pure data, so that it shrinks.
type schedule struct {
	Shards   int
	Prepares bool
	Work     int // ms that work takes to return
	Events   []event
}

type event struct {
	At     int // ms
	Member int
	Kind   string
	For    int // ms
}

// The library favours what stands first.
var kinds = []string{
	"leave", "cut both", "late writes", "lose answers", "slow answers, then cut",
	"slow requests", "slow answers", "cut requests", "cut answers", "pin", "slow store",
}

const scheduleMembers = 4

func drawSchedule(rt *rapid.T) schedule {
	about := func(label string, ms ...int) int {
		return rapid.SampledFrom(ms).Draw(rt, label) + rapid.IntRange(0, 99).Draw(rt, label+"+")
	}
	return schedule{
		Shards:   rapid.SampledFrom([]int{8, 1, 3, 70}).Draw(rt, "shards"),
		Prepares: rapid.Bool().Draw(rt, "prepares"),
		Work:     about("work", 0, 200, 2000),
		Events: rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) event {
			return event{
				At:     about("at", 1000, 0, 2000, 5000, 500, 8000, 12000, 16000, 20000),
				Member: rapid.IntRange(0, scheduleMembers-1).Draw(rt, "member"),
				Kind:   rapid.SampledFrom(kinds).Draw(rt, "kind"),
				For:    about("for", 1500, 12000, 800, 200, 4000, 0),
			}
		}), 0, 10).Draw(rt, "events"),
	}
}

// TestSchedules: whatever happens to members and their links, no shard ever has
// two owners, tokens grow, and when all is well again every shard has an owner
// and everybody his share.
func TestSchedules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sc := drawSchedule(rt)
		if verdict := sc.play(t, true); verdict != "" {
			rt.Fatal(verdict)
		}
	})
}

// TestPlantedDefectsAreConvicted: the judge of the schedules can convict.
func TestPlantedDefectsAreConvicted(t *testing.T) {
	for name, plant := range map[string]func(*shard.Options){
		"taken from the living": (*shard.Options).PlantBlind,
		"handed over at work":   (*shard.Options).PlantHasty,
		"claims of a past life": (*shard.Options).PlantHeir,
	} {
		t.Run(name, func(t *testing.T) {
			verdict := ""
			for i := 0; verdict == "" && i < 300; i++ {
				sc := rapid.Custom(drawSchedule).Example(i)
				verdict = sc.play(t, true, plant)
			}
			require.Contains(t, verdict, "shard ")
			t.Log(verdict)
		})
	}
}

// TestEverybodyPlans: any number of planners at once do no harm.
func TestEverybodyPlans(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if verdict := drawSchedule(rt).play(t, true, (*shard.Options).PlantAnarchy); verdict != "" {
			rt.Fatal(verdict)
		}
	})
}

// TestSchedule plays one schedule, that in QUORATE_SCHEDULE, and tells what happens.
func TestSchedule(t *testing.T) {
	sc := schedule{Shards: 8, Prepares: true, Work: 200, Events: []event{{1000, 1, "cut both", 12000}, {2000, 2, "leave", 0}}}
	if text := os.Getenv("QUORATE_SCHEDULE"); text != "" {
		require.NoError(t, json.Unmarshal([]byte(text), &sc))
	}
	var plants []func(*shard.Options)
	if os.Getenv("QUORATE_ANARCHY") != "" {
		plants = append(plants, (*shard.Options).PlantAnarchy)
	}
	require.Empty(t, sc.play(t, false, plants...))
}

// play returns what was wrong.
func (sc schedule) play(t *testing.T, quiet bool, plants ...func(*shard.Options)) (verdict string) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sc.Shards)
		w.quiet = quiet
		sc.playIn(w, plants)
		verdict = w.verdict
	})
	if verdict != "" {
		text, err := json.Marshal(sc)
		require.NoError(t, err)
		verdict += "\nonce more, with logs: QUORATE_SCHEDULE='" + string(text) + "' go test ./shard -v -run 'TestSchedule$'"
	}
	return verdict
}

func (sc schedule) playIn(w *world, plants []func(*shard.Options)) {
	members := make([]*member, scheduleMembers)
	for i := range members {
		members[i] = w.attend(fmt.Sprintf("m%d", i), sc, plants)
	}
	var events sync.WaitGroup
	for _, e := range sc.Events {
		events.Go(func() { sc.happen(w, members[e.Member], e) })
	}
	events.Wait()
	ids := make([]string, 0, len(members))
	for _, m := range members {
		m.faults.Heal()
		ids = append(ids, m.id)
	}
	// A member that was cut off has to get a lease first, and what died to lose its own.
	w.becomes(45*time.Second, ids...)
	for _, m := range members {
		m.over()
	}
	time.Sleep(time.Minute) // calls that were held up end
	synctest.Wait()
	// What was on its way to the dead is swept by the next who plans.
	last := w.attend("last", sc, plants)
	w.becomes(40*time.Second, "last") // the brake may hold
	last.over()
	w.nothingLeft()
}

func (sc schedule) happen(w *world, m *member, e event) {
	time.Sleep(time.Duration(e.At) * time.Millisecond)
	d := time.Duration(e.For) * time.Millisecond
	inject := func(f adaptertest.Fault) {
		f.Times = 0
		remove := m.faults.Inject(func(c adaptertest.Call) bool { return c.Method != "Watch" || f.After > 0 && !f.Lose }, f)
		time.Sleep(d)
		remove()
	}
	switch e.Kind {
	case "leave":
		m.restart()
	case "pin":
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = m.g.Pin(ctx, e.For%sc.Shards, "nobody")
	case "slow store":
		for range 20 {
			m.faults.Inject(func(adaptertest.Call) bool { return true }, adaptertest.Fault{Before: d / 40, After: d / 40, Times: 1})
			time.Sleep(d / 20)
		}
	case "cut both", "cut requests", "cut answers":
		m.faults.Partition(e.Kind != "cut answers", e.Kind != "cut requests")
		time.Sleep(d)
		m.faults.Heal()
	case "late writes":
		inject(adaptertest.Fault{Before: d, Late: true})
	case "lose answers":
		inject(adaptertest.Fault{Lose: true})
	case "slow requests":
		inject(adaptertest.Fault{Before: d / 4})
	case "slow answers":
		inject(adaptertest.Fault{After: d / 4})
	case "slow answers, then cut":
		inject(adaptertest.Fault{After: d / 2})
		m.faults.Partition(true, true)
		time.Sleep(d)
		m.faults.Heal()
	}
}

// attend has a member take part until it is over.
func (w *world) attend(id string, sc schedule, plants []func(*shard.Options)) *member {
	m := &member{w: w, id: id, faults: adaptertest.Wrap(w.mem), left: make(chan error, 1)}
	o := shard.Options{LeaveTimeout: 5 * time.Second, PrepareTimeout: 3 * time.Second, MaxMoves: 20}
	for _, plant := range plants {
		plant(&o)
	}
	m.open(o)
	ctx, again := m.term()
	h := shard.Handler{
		Acquire: func(_ context.Context, s shard.Shard) { w.begin(s, id) },
		Drain: func(_ context.Context, s shard.Shard) {
			for end := time.Now().Add(time.Duration(sc.Work) * time.Millisecond); time.Now().Before(end) && s.Check() == nil; {
				time.Sleep(10 * time.Millisecond)
			}
			w.end(s)
		},
	}
	if sc.Prepares {
		h.Prepare = func(ctx context.Context, s shard.Shard) error {
			time.Sleep(50 * time.Millisecond)
			return ctx.Err()
		}
	}
	go func() {
		for {
			err := m.g.Serve(ctx, h)
			if !again() {
				m.left <- err
				return
			}
			ctx, again = m.term()
		}
	}()
	return m
}
