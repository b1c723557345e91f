// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/shard"
)

func TestJoinLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 64)
		a := w.join("a", shard.Options{}, nil)
		w.settle()
		w.even("a")
		b := w.join("b", shard.Options{}, nil)
		w.settle()
		w.even("a", "b")
		w.forget()
		c := w.join("c", shard.Options{}, nil)
		w.settle()
		w.even("a", "b", "c")
		require.Equal(t, 21, w.starts)
		require.Zero(t, w.gap, "nobody worked on a shard for a while")
		require.Len(t, w.plans, 1)
		require.Equal(t, "join c", w.plans[0].Cause)
		w.forget()
		a.goes()
		w.settle()
		w.even("b", "c")
		require.Zero(t, w.gap)
		t.Log(c.g.Table())
		b.goes()
		c.goes()
	})
}

func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 64)
		a := w.join("a", shard.Options{}, nil)
		b := w.join("b", shard.Options{}, nil)
		c := w.join("c", shard.Options{}, nil)
		w.settle()
		w.even("a", "b", "c")
		w.forget()
		b.faults.Partition(true, true)
		// The lease lives for 10 s after its last renewal; then a plan settles.
		w.becomes(11*time.Second, "a", "c")
		require.LessOrEqual(t, w.gap, 2*time.Second)
		b.faults.Heal()
		w.becomes(12*time.Second, "a", "b", "c")
		a.goes()
		b.goes()
		c.goes()
	})
}
