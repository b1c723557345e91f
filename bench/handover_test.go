// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPassOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := passOn(t.Context(), local(4, 3*time.Millisecond), time.Second, 7*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, 3*time.Millisecond, f.per, "without the rest")
		require.InDelta(t, 50, f.n, 1)
	})
}

// A planted defect: a lock that lets two in is not fast but broken.
func TestPassOnWithTwoHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := local(3, time.Millisecond)
		cs[2].lock = func(context.Context) (func() error, error) { return func() error { return nil }, nil }
		cs[0].queued = func(context.Context) (int, error) { return 3, nil }
		_, err := passOn(t.Context(), cs, time.Second, 7*time.Millisecond)
		require.ErrorContains(t, err, "two holders at the same time")
	})
}

func TestPassOnReportsErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, plant := range map[string]func(cs contenders){
		"first lock": func(cs contenders) {
			cs[0].lock = func(context.Context) (func() error, error) { return nil, broken }
		},
		"a waiter": func(cs contenders) {
			cs[0].queued = func(context.Context) (int, error) { return 3, nil }
			cs[2].lock = func(context.Context) (func() error, error) { return nil, broken }
		},
		"unlock": func(cs contenders) {
			lock := cs[0].lock
			cs[0].lock = func(ctx context.Context) (func() error, error) {
				unlock, err := lock(ctx)
				return func() error { return errors.Join(broken, unlock()) }, err
			}
		},
		"counting": func(cs contenders) { cs[0].queued = func(context.Context) (int, error) { return 0, broken } },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cs := local(3, time.Millisecond)
				plant(cs)
				_, err := passOn(t.Context(), cs, time.Second, 7*time.Millisecond)
				require.ErrorIs(t, err, broken)
			})
		})
	}
}

// Whoever never queues is named, instead of measured without.
func TestQueueIncomplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := local(3, time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		cs[0].queued = func(ctx context.Context) (int, error) { return 2, ctx.Err() }
		require.ErrorContains(t, cs.queue(ctx, 3), "2 of 3 are queued: context deadline exceeded")
	})
}
