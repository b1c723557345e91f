// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/session"
	"github.com/quorate/quorate/shard"
)

// After many plans there is a base, what came before it is gone, and all who read
// the plan, from its begin, from now on or after a pause, see the same.
func TestManyPlans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 12)
		a, b := w.join("a", shard.Options{}, nil), w.join("b", shard.Options{}, nil)
		w.becomes(time.Second, "a", "b")
		s, err := session.Open(t.Context(), w.mem, &session.Options{Clock: session.MonotonicClock()})
		require.NoError(t, err)
		defer s.Close()
		router, err := shard.New(s, "orders", 12, nil)
		require.NoError(t, err)
		slow := make(chan *shard.Table)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for table, err := range router.Tables(ctx) {
				if err != nil {
					return
				}
				slow <- table
			}
		}()
		<-slow
		for i := range 150 {
			require.NoError(t, a.g.Pin(t.Context(), i%12, []string{"a", "b"}[i/12%2]))
			time.Sleep(200 * time.Millisecond)
			if i == 70 {
				<-slow // reads on, in the middle
			}
		}
		synctest.Wait()
		want := a.g.Table()
		require.Greater(t, want.Epoch(), uint64(100))
		view, err := w.mem.Read(t.Context(), "quorate/shard/orders/")
		require.NoError(t, err)
		count := map[string]int{}
		for _, kv := range view.KVs {
			kind, _, _ := strings.Cut(strings.TrimPrefix(kv.Key, "quorate/shard/orders/"), "/")
			count[kind]++
		}
		require.Equal(t, 1, count["base"])
		require.LessOrEqual(t, count["diff"], 64)
		require.Equal(t, 12, count["claim"])
		fresh := shard.Table{}
		for table, err := range router.Tables(t.Context()) {
			require.NoError(t, err)
			fresh = *table
			break
		}
		late := <-slow
		for late.Epoch() < want.Epoch() {
			late = <-slow
		}
		for n := range 12 {
			require.Equal(t, want.Owner(n), fresh.Owner(n))
			require.Equal(t, want.Owner(n), late.Owner(n))
		}
		cancel()
		a.goes()
		b.goes()
	})
}

// A first plan that is too long for the head is read from the base.
func TestLongFirstPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 20000)
		var ms []*member
		var ids []string
		for i := range 4 {
			ids = append(ids, fmt.Sprint("m", i))
			ms = append(ms, w.join(ids[i], shard.Options{}, nil))
		}
		w.becomes(10*time.Second, ids...)
		view, err := w.mem.Read(t.Context(), "quorate/shard/orders/base/")
		require.NoError(t, err)
		require.Len(t, view.KVs, 1)
		view, err = w.mem.Read(t.Context(), "quorate/shard/orders/head")
		require.NoError(t, err)
		require.Less(t, len(view.KVs[0].Value), 100)
		ms[0].goes()
		w.becomes(10*time.Second, ids[1:]...)
		require.Zero(t, w.gap)
		for _, m := range ms[1:] {
			m.leave()
		}
		for _, m := range ms[1:] {
			<-m.left
		}
	})
}
