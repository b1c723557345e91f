// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/session"
	"github.com/quorate/quorate/shard"
)

func TestOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		defer mem.Close()
		s, err := session.Open(t.Context(), mem, &session.Options{Clock: session.MonotonicClock()})
		require.NoError(t, err)
		defer s.Close()
		for want, o := range map[string]shard.Options{
			"Options.Weight is -1, must be from 0 to 1048576":                 {Weight: -1},
			"Options.Capacity is -2, must be from 0 to 1048576":               {Capacity: -2},
			"Options.Settle is -1ns, must not be negative":                    {Settle: -1},
			"Options.Drain is 3, must be from 0 to 2":                         {Drain: 3},
			"Options.Zone has 300 bytes, limit 255":                           {Zone: strings.Repeat("z", 300)},
			"Options.Member \"" + strings.Repeat("m", 256) + "\": invalid re": {Member: strings.Repeat("m", 256)},
		} {
			_, err := shard.New(s, "orders", 8, &o)
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, `shard group "orders"`)
		}
		_, err = shard.New(s, "orders", 0, nil)
		require.ErrorContains(t, err, "shards is 0, must be from 1 to 1048576")
		_, err = shard.New(s, "", 8, nil)
		require.ErrorContains(t, err, "name is empty")
		_, err = shard.New(nil, "orders", 8, nil)
		require.ErrorContains(t, err, "session is nil")
	})
}

// A group's number of shards is fixed, until it is destroyed.
func TestShardsDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8)
		a := w.join("a", shard.Options{}, nil)
		w.becomes(time.Second, "a")
		token := w.token[3]
		other, err := shard.New(a.s, "orders", 16, nil)
		require.NoError(t, err)
		err = other.Run(t.Context(), func(context.Context, shard.Shard) error { return nil })
		require.ErrorIs(t, err, shard.ErrShards)
		require.EqualError(t, err, `shard group "orders": run: number of shards differs: the group has 8, this program says 16`)
		w.becomes(time.Second, "a")
		require.ErrorIs(t, other.Destroy(t.Context()), shard.ErrMembers)
		a.leave()
		<-a.left
		require.NoError(t, a.g.Destroy(t.Context()))
		view, err := w.mem.Read(t.Context(), "quorate/shard/")
		require.NoError(t, err)
		require.Empty(t, view.KVs)
		w.shards = 16
		b := w.join("b", shard.Options{}, nil)
		w.becomes(time.Second, "b")
		require.Greater(t, w.token[3], token)
		b.goes()
	})
}

// Two live members cannot share an id: the second waits.
func TestSameMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8)
		a := w.join("a", shard.Options{}, nil)
		w.becomes(time.Second, "a")
		twin := w.join("a", shard.Options{}, nil)
		time.Sleep(time.Minute)
		w.even("a")
		a.goes()
		w.becomes(time.Second, "a")
		twin.goes()
	})
}

// A second Run of one Group is refused, and several groups hang on one session.
func TestGroupsOfOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8)
		a := w.join("a", shard.Options{}, nil)
		w.becomes(time.Second, "a")
		require.ErrorContains(t, a.g.Run(t.Context(), nil), "is being served already")
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		begun := make(chan int, 100)
		for _, name := range []string{"bills", "customers"} {
			g, err := shard.New(a.s, name, 5, &shard.Options{Member: "a"})
			require.NoError(t, err)
			go func() {
				left <- g.Run(ctx, func(ctx context.Context, s shard.Shard) error {
					begun <- s.Number
					<-ctx.Done()
					return nil
				})
			}()
		}
		time.Sleep(time.Second)
		require.Len(t, begun, 10)
		cancel()
		require.ErrorIs(t, <-left, context.Canceled)
		require.ErrorIs(t, <-left, context.Canceled)
		w.even("a")
		a.goes()
	})
}

// Closing the session ends everything in order.
func TestCloseSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8)
		a := w.join("a", shard.Options{}, func(context.Context, shard.Shard) { time.Sleep(2 * time.Second) })
		b := w.join("b", shard.Options{}, nil)
		w.becomes(time.Second, "a", "b")
		require.NoError(t, a.s.Close())
		require.ErrorIs(t, <-a.left, session.ErrClosed)
		w.becomes(time.Second, "b")
		b.goes()
	})
}

// Work that returns is called again, with the same token.
func TestWorkReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		m := &member{w: w, id: "a", faults: adaptertest.Wrap(w.mem), left: make(chan error, 1)}
		m.open(shard.Options{})
		defer m.s.Close()
		var tokens []uint64
		ctx, cancel := context.WithCancel(t.Context())
		err := m.g.Run(ctx, func(_ context.Context, s shard.Shard) error {
			if tokens = append(tokens, s.Token); len(tokens) == 3 {
				cancel()
			}
			return nil
		})
		require.ErrorIs(t, err, context.Canceled)
		require.GreaterOrEqual(t, len(tokens), 3)
		require.Equal(t, tokens[0], tokens[2])
	})
}

// Routers see each plan, and who else may have what moves.
func TestTables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		s, err := session.Open(t.Context(), w.mem, &session.Options{Clock: session.MonotonicClock()})
		require.NoError(t, err)
		defer s.Close()
		router, err := shard.New(s, "orders", 10, nil)
		require.NoError(t, err)
		tables := make(chan *shard.Table, 100)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(tables)
			for table, err := range router.Tables(ctx) {
				if err != nil {
					return
				}
				tables <- table
			}
		}()
		require.Zero(t, (<-tables).Epoch())
		a := w.join("a", shard.Options{Address: "10.0.0.1:80"}, nil)
		one := <-tables
		require.EqualValues(t, 1, one.Epoch())
		require.Equal(t, shard.Owner{ID: "a", Address: "10.0.0.1:80"}, one.Owner(7))
		require.Equal(t, "join a", one.Cause())
		b := w.join("b", shard.Options{Address: "10.0.0.2:80"}, nil)
		two := <-tables
		moving := 0
		for n := range 10 {
			if two.Owner(n).ID == "b" {
				moving++
				require.Equal(t, "a", two.Next(n).ID)
			} else {
				require.Zero(t, two.Next(n))
			}
		}
		require.Equal(t, 5, moving)
		owner, _ := two.Route("customer-17")
		require.Equal(t, two.Owner(shard.Of("customer-17", 10)), owner)
		require.Equal(t, []shard.Owner{{ID: "a", Address: "10.0.0.1:80"}, {ID: "b", Address: "10.0.0.2:80"}}, two.Members())
		require.Equal(t, one.Owner(7).ID, "a", "a table changed")
		cancel()
		a.goes()
		b.goes()
	})
}

func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		s, err := session.Open(t.Context(), w.mem, &session.Options{Clock: session.MonotonicClock()})
		require.NoError(t, err)
		defer s.Close()
		g, err := shard.New(s, "orders", 4, nil)
		require.NoError(t, err)
		e, err := g.Explain(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, "shard 1: nobody has owned it yet; plan of epoch 0 (): there is none", e.String())
		a := w.join("a", shard.Options{}, nil)
		w.becomes(time.Second, "a")
		e, err = g.Explain(t.Context(), 1)
		require.NoError(t, err)
		require.Regexp(t, `^shard 1: a owns it with token \d+ since epoch 1 \(session [0-9a-f]+\); plan of epoch 1 \(join a\): it stays$`, e.String())
		require.Equal(t, w.token[1], e.Token)
		a.goes()
		e, err = g.Explain(t.Context(), 1)
		require.NoError(t, err)
		require.Regexp(t, `^shard 1: nobody owns it; a did with token \d+ since epoch 1, and is gone; plan of epoch 2 \(drain a\): it goes to a$`, e.String())
		_, err = g.Explain(t.Context(), 4)
		require.ErrorContains(t, err, "shard is 4, must be from 0 to 3")
	})
}

// Whoever deletes a member's key by hand has its shards go to others, and the
// member take part again.
func TestMemberKeyDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8)
		a, b := w.join("a", shard.Options{}, nil), w.join("b", shard.Options{}, nil)
		w.becomes(time.Second, "a", "b")
		w.quiet = true // two at work for a moment
		_, err := w.mem.Commit(t.Context(), adapters.Tx{Then: []adapters.Op{adapters.Delete("quorate/shard/orders/member/b")}})
		require.NoError(t, err)
		time.Sleep(time.Second)
		w.verdict = ""
		w.becomes(3*time.Second, "a", "b")
		require.Empty(t, w.verdict)
		w.quiet = false
		a.goes()
		b.goes()
	})
}

// A loss does not let Run return before all work has.
func TestRunWaitsForWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		returned := 0
		a := w.join("a", shard.Options{}, func(context.Context, shard.Shard) {
			time.Sleep(time.Minute)
			w.mu.Lock()
			returned++
			w.mu.Unlock()
		})
		w.becomes(time.Second, "a")
		a.faults.Partition(true, true)
		time.Sleep(15 * time.Second)
		a.leave()
		require.ErrorIs(t, <-a.left, context.Canceled)
		require.Equal(t, 2, returned)
	})
}
