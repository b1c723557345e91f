// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/session"
)

// checks sets how many schedules a property is tried with, unless the command
// line says so. It is a flag of the test library, hence global.
func checks(t *testing.T, n int) {
	onCommandLine.Do(func() {
		flag.Visit(func(f *flag.Flag) { checksGiven = checksGiven || f.Name == "rapid.checks" })
	})
	if !checksGiven {
		require.NoError(t, flag.Set("rapid.checks", fmt.Sprint(n)))
	}
}

var (
	onCommandLine sync.Once
	checksGiven   bool
)

// Whatever happens to the clients, their links, leases and machine: one holder
// at a time, growing tokens, no orphans, no wait beyond its context.
func TestAnyScheduleKeepsThePromises(t *testing.T) {
	switch {
	case testing.Short():
		checks(t, 1000) // of which the library takes a fifth
	case raceEnabled:
		checks(t, 1000) // ten times slower
	default:
		checks(t, 5000)
	}
	var schedules, acquired atomic.Int64
	t.Run("on", func(t *testing.T) {
		for _, half := range []string{"one core", "another"} {
			t.Run(half, func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(rt *rapid.T) {
					verdict, n := play(t, drawSchedule(rt), nil)
					schedules.Add(1)
					acquired.Add(int64(n))
					if verdict != "" {
						rt.Log(verdict)
						rt.Fatal("a promise is broken")
					}
				})
			})
		}
	})
	t.Logf("%d schedules, %d times acquired", schedules.Load(), acquired.Load())
	require.Greater(t, acquired.Load(), 2*schedules.Load(), "too little happened")
}

// The judge can convict: each planted defect is found and shrunk.
func TestPlantedDefectsAreConvicted(t *testing.T) {
	for name, plant := range map[string]func(*session.Options){
		"two holders": (*session.Options).PlantReceipt,
		"orphan key":  (*session.Options).PlantNoSettle,
	} {
		t.Run(name, func(t *testing.T) {
			checks(t, 5000)
			for _, set := range []string{"nofailfile=true", "shrinktime=3s"} {
				flagName, value, _ := strings.Cut("rapid."+set, "=")
				old := flag.Lookup(flagName).Value.String()
				require.NoError(t, flag.Set(flagName, value))
				t.Cleanup(func() { _ = flag.Set(flagName, old) })
			}
			// Goroutines of one moment run in any order, so what convicts a
			// schedule once may need a few tries to do it again.
			convicts := func(sc schedule, tries int) bool {
				for range tries {
					if v, _ := play(t, sc, plant); strings.Contains(v, name) {
						return true
					}
				}
				return false
			}
			rec := &recorder{name: t.Name()}
			tried, found := 0, (*schedule)(nil)
			rec.run(func() {
				rapid.Check(rec, func(rt *rapid.T) {
					sc, tries := drawSchedule(rt), 1
					if found != nil {
						tries = 5
					} else {
						tried++
					}
					// A lucky hit that does not repeat is no start for shrinking.
					if convicts(sc, tries) && convicts(sc, tries) && convicts(sc, tries) {
						if found == nil || size(sc) < size(*found) {
							found = &sc
						}
						rt.Fatal(name) // always the same text: a failure is known by it
					}
				})
			})
			require.NotNil(t, found, "not convicted in %d schedules", tried)
			least := *found
			for shorter := true; shorter; {
				shorter = false
				// One event can hide what another does, so pairs go too.
				for i := len(least.Events) - 1; i >= 0 && !shorter; i-- {
					for j := i; j >= 0 && !shorter; j-- {
						events := slices.Delete(slices.Clone(least.Events), i, i+1)
						if j < i {
							events = slices.Delete(events, j, j+1)
						}
						if fewer := (schedule{least.Clients, events}); convicts(fewer, 10) {
							least, shorter = fewer, true
						}
					}
				}
			}
			// Few events of many may do by themselves, with none of the steps between.
			for i := range least.Events {
				for j := range i {
					if few := (schedule{least.Clients, []event{least.Events[j], least.Events[i]}}); len(least.Events) > 2 && convicts(few, 10) {
						least = few
						break
					}
				}
				if len(least.Events) <= 2 {
					break
				}
			}
			t.Logf("convicted by schedule %d, least %+v", tried, least)
			require.LessOrEqual(t, len(least.Events), 3, "not shrunk: %+v", least)
			again, _ := play(t, least, nil)
			require.Empty(t, again, "the same schedule without the defect")
		})
	}
}

func size(sc schedule) int { return len(sc.Events) + len(sc.Clients) }

// recorder is what a property fails in place of a test.
type recorder struct {
	name   string
	failed bool
}

func (r *recorder) run(f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	<-done
}
func (r *recorder) Helper()               {}
func (r *recorder) Name() string          { return r.name }
func (r *recorder) Logf(string, ...any)   {}
func (r *recorder) Log(...any)            {}
func (r *recorder) Skipf(string, ...any)  { r.SkipNow() }
func (r *recorder) Skip(...any)           { r.SkipNow() }
func (r *recorder) SkipNow()              { panic("skipped") }
func (r *recorder) Errorf(string, ...any) { r.Fail() }
func (r *recorder) Error(...any)          { r.Fail() }
func (r *recorder) Fatalf(string, ...any) { r.FailNow() }
func (r *recorder) Fatal(...any)          { r.FailNow() }
func (r *recorder) FailNow()              { r.Fail(); runtime.Goexit() }
func (r *recorder) Fail()                 { r.failed = true }
func (r *recorder) Failed() bool          { return r.failed }
