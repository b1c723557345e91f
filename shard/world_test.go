// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/session"
	"github.com/quorate/quorate/shard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a store with members, in virtual time, and somebody who watches that
// no shard ever has two owners and that tokens grow.
type world struct {
	t      *testing.T
	mem    *memory.Store
	shards int
	quiet  bool // what is wrong is not reported but kept in verdict

	mu      sync.Mutex
	verdict string
	owner   map[int]string
	token   map[int]uint64
	since   map[int]time.Time // when it has had no owner, if it has none
	starts  int               // how often work began
	gap     time.Duration     // the longest time without an owner, after the first
	stuck   int
	plans   []session.ShardPlan
	moves   []session.ShardMove
}

func newWorld(t *testing.T, shards int) *world {
	w := &world{t: t, mem: memory.New(nil), shards: shards,
		owner: make(map[int]string), token: make(map[int]uint64), since: make(map[int]time.Time)}
	t.Cleanup(func() { _ = w.mem.Close() })
	return w
}

// blame says that something is wrong. The caller has the lock.
func (w *world) blame(format string, args ...any) {
	switch {
	case !w.quiet:
		w.t.Errorf(format, args...)
	case w.verdict == "":
		w.verdict = fmt.Sprintf(format, args...)
	}
}

func (w *world) begin(s shard.Shard, who string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o := w.owner[s.Number]; o != "" {
		w.blame("shard %d: %s begins while %s is at work", s.Number, who, o)
	}
	if last := w.token[s.Number]; s.Token < last {
		w.blame("shard %d: %s has token %d, %d was there before", s.Number, who, s.Token, last)
	}
	if free, ok := w.since[s.Number]; ok {
		w.gap = max(w.gap, time.Since(free))
	}
	w.owner[s.Number], w.token[s.Number] = who, s.Token
	w.starts++
}

func (w *world) end(s shard.Shard) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.owner, s.Number)
	w.since[s.Number] = time.Now()
}

// counts returns how many shards each has.
func (w *world) counts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := make(map[string]int)
	for _, o := range w.owner {
		n[o]++
	}
	return n
}

// forget begins to count afresh.
func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.starts, w.gap, w.plans, w.moves = 0, 0, nil, nil
}

// member is one process.
type member struct {
	w      *world
	id     string
	faults *adaptertest.Faults
	s      *session.Session
	g      *shard.Group
	leave  context.CancelFunc
	left   chan error

	mu   sync.Mutex
	done bool
	work func(ctx context.Context, s shard.Shard) // until ctx ends, and a while longer
}

// open opens the member's session.
func (m *member) open(o shard.Options) {
	w := m.w
	w.t.Helper()
	var err error
	m.s, err = session.Open(w.t.Context(), m.faults, &session.Options{
		Clock: session.MonotonicClock(), Owner: m.id, Logger: w.logger(m.id),
		Observer: &session.Observer{
			Stuck: func(session.Place) { w.mu.Lock(); w.stuck++; w.mu.Unlock() },
			Plan:  func(p session.ShardPlan) { w.mu.Lock(); w.plans = append(w.plans, p); w.mu.Unlock() },
			Move:  func(p session.ShardMove) { w.mu.Lock(); w.moves = append(w.moves, p); w.mu.Unlock() },
		},
	})
	require.NoError(w.t, err)
	o.Member = m.id
	m.g, err = shard.New(m.s, "orders", w.shards, &o)
	require.NoError(w.t, err)
}

func (w *world) join(id string, o shard.Options, work func(context.Context, shard.Shard)) *member {
	w.t.Helper()
	m := &member{w: w, id: id, faults: adaptertest.Wrap(w.mem), left: make(chan error, 1), work: work}
	m.open(o)
	ctx, cancel := context.WithCancel(w.t.Context())
	m.leave = cancel
	go func() {
		m.left <- m.g.Run(ctx, func(ctx context.Context, s shard.Shard) error {
			w.begin(s, id)
			defer w.end(s)
			<-ctx.Done()
			if m.work != nil {
				m.work(ctx, s)
			}
			return nil
		})
	}()
	w.t.Cleanup(func() {
		m.faults.Heal()
		cancel()
		_ = m.s.Close()
		<-m.s.Done()
	})
	return m
}

// handle is join with a function that prepares.
func (w *world) handle(id string, o shard.Options, prepare func(context.Context, shard.Shard) error) *member {
	w.t.Helper()
	m := &member{w: w, id: id, faults: adaptertest.Wrap(w.mem), left: make(chan error, 1)}
	m.open(o)
	ctx, cancel := context.WithCancel(w.t.Context())
	m.leave = cancel
	go func() {
		m.left <- m.g.Serve(ctx, shard.Handler{
			Prepare: prepare,
			Acquire: func(_ context.Context, s shard.Shard) { w.begin(s, id) },
			Drain:   func(_ context.Context, s shard.Shard) { w.end(s) },
		})
	}()
	w.t.Cleanup(func() {
		m.faults.Heal()
		cancel()
		_ = m.s.Close()
		<-m.s.Done()
	})
	return m
}

// claimedBy counts the claims that name a member.
func (w *world) claimedBy(id string) (n int) {
	view, err := w.mem.Read(context.Background(), "quorate/shard/orders/claim/")
	require.NoError(w.t, err)
	for _, kv := range view.KVs {
		if strings.Contains(string(kv.Value), `"m":"`+id+`"`) {
			n++
		}
	}
	return n
}

// planned waits until a plan gives a member a shard.
func (w *world) planned(m *member, id string) {
	for {
		for _, o := range m.g.Table().Members() {
			if o.ID == id {
				return
			}
		}
		time.Sleep(time.Millisecond)
	}
}

// term returns a context for the next membership, and a function that says, when
// that has ended, whether there is to be another one.
func (m *member) term() (context.Context, func() bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	m.leave = cancel
	if m.done {
		cancel()
	}
	return ctx, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		cancel()
		return !m.done
	}
}

// restart leaves in order and joins again.
func (m *member) restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leave()
}

// over leaves for good.
func (m *member) over() {
	m.mu.Lock()
	m.done = true
	m.leave()
	m.mu.Unlock()
	err := errors.Join(<-m.left, m.s.Close())
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	if !errors.Is(err, context.Canceled) {
		m.w.blame("%s left with %v", m.id, err)
	}
}

// nothingLeft fails if a key is left that hangs on a lease, or a note.
func (w *world) nothingLeft() {
	w.t.Helper()
	view, err := w.mem.Read(w.t.Context(), "quorate/")
	require.NoError(w.t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, kv := range view.KVs {
		if kv.Lease != "" || strings.Contains(kv.Key, "/in/") {
			w.blame("key %s is left: %s", kv.Key, kv.Value)
		}
	}
}

// goes leaves the group in order.
func (m *member) goes() {
	m.w.t.Helper()
	m.leave()
	require.ErrorIs(m.w.t, <-m.left, context.Canceled)
}

// settle waits until nothing happens any more.
func (w *world) settle() {
	for range 30 {
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
	}
}

// becomes waits until all shards are spread evenly over these, and fails after a
// while. It returns how long that took.
func (w *world) becomes(within time.Duration, ids ...string) time.Duration {
	w.t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		synctest.Wait()
		counts := w.counts()
		n := 0
		for _, id := range ids {
			if counts[id] == w.shards/len(ids) || counts[id] == (w.shards+len(ids)-1)/len(ids) {
				n++
			}
		}
		took := time.Since(began)
		sum := 0
		for _, c := range counts {
			sum += c
		}
		if n == len(ids) && sum == w.shards {
			return took
		}
		if took > within {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.blame("after %v the shards are spread like this: %v", took, counts)
			return took
		}
	}
}

func (w *world) even(ids ...string) {
	w.t.Helper()
	counts := w.counts()
	sum := 0
	for _, id := range ids {
		n := counts[id]
		sum += n
		require.Contains(w.t, []int{w.shards / len(ids), (w.shards + len(ids) - 1) / len(ids)}, n, "%s of %v", id, counts)
	}
	require.Equal(w.t, w.shards, sum, fmt.Sprint(counts))
}

// logger writes what a member logs into the test's log, for when it fails.
func (w *world) logger(id string) *slog.Logger {
	if w.quiet {
		return nil
	}
	return slog.New(slog.NewTextHandler(w.t.Output(), nil)).With("member", id)
}

// owners returns who has which shard.
func (w *world) owners() map[int]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.owner)
}
