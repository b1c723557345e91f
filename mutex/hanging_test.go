// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package mutex_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
)

// A client takes turns with two servers, one of which hangs: locking, unlocking
// and handing over go on, if slowly.
func TestOneOfTwoServersHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b := start(t, mem), start(t, mem)
		for _, p := range []*process{a, b} {
			turn := 0
			p.faults.Inject(func(c adaptertest.Call) bool {
				turn++
				return turn%2 == 0 && c.Method != "Watch"
			}, adaptertest.Fault{Before: time.Hour})
		}
		last := uint64(0)
		for range 5 {
			for _, p := range []*process{a, b} {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				h, err := p.m.Lock(ctx)
				cancel()
				require.NoError(t, err)
				require.Greater(t, h.Token(), last)
				last = h.Token()
				if err := h.Unlock(); err != nil {
					require.ErrorIs(t, err, adapters.ErrUnknown)
				}
			}
		}
	})
}
