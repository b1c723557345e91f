// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"flag"
	"fmt"
	"runtime"
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
	if testing.Short() {
		checks(t, 250)
	} else {
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
						rt.Fatal(verdict)
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
			checks(t, 1000)
			require.NoError(t, flag.Set("rapid.nofailfile", "true"))
			t.Cleanup(func() { _ = flag.Set("rapid.nofailfile", "false") })
			rec := &recorder{name: t.Name()}
			tried, last := 0, schedule{}
			var verdict string
			rec.run(func() {
				rapid.Check(rec, func(rt *rapid.T) {
					tried++
					sc := drawSchedule(rt)
					// Goroutines of one moment run in any order, so a schedule is
					// tried more than once; or shrinking would lose its way.
					for range 4 {
						v, _ := play(t, sc, plant)
						if !strings.Contains(v, name) {
							continue
						}
						if verdict == "" || size(sc) < size(last) {
							last, verdict = sc, v
						}
						rt.Fatal(v)
					}
				})
			})
			require.True(t, rec.failed, "not convicted in %d schedules", tried)
			require.LessOrEqual(t, len(last.Events), 3, "not shrunk: %+v", last)
			t.Logf("convicted after %d runs: %s by %+v", tried, verdict, last)
			again, _ := play(t, last, nil)
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
