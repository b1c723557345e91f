// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

const (
	scheduleTTL    = 2 * time.Second
	scheduleMargin = 50 * time.Millisecond
	scheduleEnd    = 6 * time.Second // of faults; then everything heals
)

// A schedule is what happens in one run: pure data, so that it shrinks.
type schedule struct {
	Clients []client
	Events  []event
}

type client struct{ Work, Pause, Patience int } // ms: lock held, not wanted, waited for at most

type event struct {
	At     int // ms
	Client int
	Kind   string
	For    int // ms
}

// Each kind of event meets one client, but for the suspended machine, which
// they share. The library favours what stands first.
var eventKinds = []string{
	"slow answers, then cut", "late writes", "lose answers", "cut both", "suspend", "kill",
	"cut requests", "cut answers", "slow requests", "slow answers",
}

func drawSchedule(rt *rapid.T) schedule {
	// Integers would be drawn small; these are spread over what matters.
	about := func(label string, ms ...int) int {
		return rapid.SampledFrom(ms).Draw(rt, label) + rapid.IntRange(0, 99).Draw(rt, label+"+")
	}
	n := rapid.IntRange(2, 3).Draw(rt, "clients")
	sc := schedule{Clients: make([]client, n)}
	for i := range sc.Clients {
		sc.Clients[i] = client{about("work", 4000, 100, 2500, 1000), 50 + about("pause", 0, 200), about("patience", 4000, 100, 1500, 0)}
	}
	sc.Events = rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) event {
		return event{
			At:     about("at", 200, 1000, 2000, 0, 3000, 500, 4000, 5000, 1500),
			Client: rapid.IntRange(0, n-1).Draw(rt, "client"),
			Kind:   rapid.SampledFrom(eventKinds).Draw(rt, "kind"),
			For:    about("for", 1500, 2500, 800, 200, 3000, 0),
		}
	}), 0, 8).Draw(rt, "events")
	return sc
}

// A run is one schedule being played in virtual time, and its judge.
type run struct {
	mem     *memory.Store
	machine *machine
	faults  []*adaptertest.Faults

	mu       sync.Mutex
	newest   uint64 // largest token acquired
	acquired int
	verdicts []string
}

func (r *run) fail(format string, args ...any) {
	r.verdicts = append(r.verdicts, fmt.Sprintf(format, args...))
}

// play runs sc and returns what it violated, or nothing.
func play(t *testing.T, sc schedule, plant func(*session.Options)) (verdict string, acquired int) {
	synctest.Test(t, func(t *testing.T) {
		r := &run{mem: memory.New(nil), machine: newMachine()}
		ctx, stop := context.WithTimeout(context.Background(), scheduleEnd)
		defer stop()
		var clients sync.WaitGroup
		var sessions []*session.Session
		kills := make([]context.CancelFunc, len(sc.Clients))
		for i, c := range sc.Clients {
			f := adaptertest.Wrap(r.mem)
			r.faults = append(r.faults, f)
			opts := session.Options{TTL: scheduleTTL, Margin: scheduleMargin, Clock: r.machine, CloseTimeout: 3 * time.Second}
			if plant != nil {
				plant(&opts)
			}
			s, err := session.Open(ctx, f, &opts)
			if err != nil {
				panic(err)
			}
			sessions = append(sessions, s)
			alive, kill := context.WithCancel(ctx)
			kills[i] = kill
			clients.Go(func() { r.client(alive, s, c) })
		}
		for _, e := range sc.Events {
			time.AfterFunc(time.Duration(e.At)*time.Millisecond, func() { r.inject(e, kills) })
		}
		clients.Wait()
		<-ctx.Done()
		// Requests still on their way and leases of the killed have their time.
		time.Sleep(3*time.Second + 2*scheduleTTL)
		r.judgeTheEnd()
		for _, s := range sessions {
			_ = s.Close() // of a killed client it fails
			<-s.Done()
		}
		for _, f := range r.faults {
			f.Wait()
		}
		time.Sleep(2 * scheduleTTL)
		if n := len(r.mem.Leases()); n > 0 {
			r.fail("%d leases left", n)
		}
		verdict, acquired = strings.Join(r.verdicts, "; "), r.acquired
	})
	return verdict, acquired
}

// client locks and unlocks until ctx ends.
func (r *run) client(ctx context.Context, s *session.Session, c client) {
	m, err := mutex.New(s, "x", nil)
	if err != nil {
		panic(err)
	}
	for ctx.Err() == nil {
		wait, cancel := context.WithTimeout(ctx, time.Duration(c.Patience)*time.Millisecond)
		h, err := m.Lock(wait)
		end := time.Now()
		if deadline, _ := wait.Deadline(); end.After(deadline.Add(time.Second)) {
			r.mu.Lock()
			r.fail("Lock returned %v after its context had ended", end.Sub(deadline))
			r.mu.Unlock()
		}
		cancel()
		if err == nil {
			r.hold(ctx, h, time.Duration(c.Work)*time.Millisecond)
			_ = h.Unlock() // what it could not do is judged at the end
		} else if !errors.Is(err, session.ErrLost) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			r.mu.Lock()
			r.fail("Lock: %v", err)
			r.mu.Unlock()
		}
		time.Sleep(time.Duration(c.Pause) * time.Millisecond)
	}
}

// hold uses the lock: I1 and I2 are judged at each use.
func (r *run) hold(ctx context.Context, h *mutex.Hold, d time.Duration) {
	r.mu.Lock()
	r.acquired++
	if h.Token() <= r.newest {
		r.fail("token %d acquired after %d", h.Token(), r.newest)
	}
	r.newest = max(r.newest, h.Token())
	r.mu.Unlock()
	for end := time.Now().Add(d); ctx.Err() == nil && time.Now().Before(end); {
		r.mu.Lock()
		if h.Check() == nil && h.Token() < r.newest {
			r.fail("two holders: Check of token %d passes after %d was acquired", h.Token(), r.newest)
		}
		r.mu.Unlock()
		select {
		case <-h.Context().Done():
			// Work that ignores its context: only Check counts.
		default:
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (r *run) inject(e event, kills []context.CancelFunc) {
	if e.Client >= len(kills) {
		return
	}
	f, d := r.faults[e.Client], time.Duration(e.For)*time.Millisecond
	during := func(fault adaptertest.Fault) {
		time.AfterFunc(scheduleTTL, f.Inject(nil, fault))
	}
	switch e.Kind {
	case "slow requests":
		during(adaptertest.Fault{Before: d / 4})
	case "slow answers":
		during(adaptertest.Fault{After: d / 8})
	case "slow answers, then cut":
		during(adaptertest.Fault{After: d / 8})
		time.AfterFunc(scheduleTTL/2, func() { f.Partition(true, true) })
		time.AfterFunc(2*scheduleTTL, f.Heal)
	case "late writes":
		time.AfterFunc(scheduleTTL, f.Inject(creates("quorate/mutex/"), adaptertest.Fault{Before: d / 2, Late: true}))
	case "lose answers":
		f.Inject(nil, adaptertest.Fault{Lose: true, Times: 1 + e.For/500})
	case "cut requests", "cut answers", "cut both":
		f.Partition(e.Kind != "cut answers", e.Kind != "cut requests")
		time.AfterFunc(d, f.Heal)
	case "kill":
		kills[e.Client]()
		f.Inject(nil, adaptertest.Fault{Before: time.Hour})
	case "suspend":
		r.machine.suspend(r.mem, d)
	}
}

// judgeTheEnd looks at a store where nobody wants anything any more, while
// the sessions are still there.
func (r *run) judgeTheEnd() {
	view, err := r.mem.Read(context.Background(), "quorate/mutex/")
	if err != nil {
		panic(err)
	}
	for _, kv := range view.KVs {
		r.fail("orphan key %s of lease %s", kv.Key, kv.Lease)
	}
}
