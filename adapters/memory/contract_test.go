// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"context"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
)

func TestContract(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T) adaptertest.Backend { return open(t, nil) })
}

// A store that acts out Consul's way of ending leases keeps the contract too.
func TestContractSlowToExpire(t *testing.T) {
	limits := memory.DefaultLimits()
	limits.ExpiryFactor, limits.ExpiryLag = 2, 50*time.Millisecond
	limits.MaxOps, limits.MaxKey, limits.MaxTx, limits.LockTag = 64, 900, 600<<10, 7
	adaptertest.Run(t, func(t *testing.T) adaptertest.Backend {
		return open(t, &memory.Options{Limits: &limits, Rev: 1 << 40})
	})
}

func open(t *testing.T, opts *memory.Options) adaptertest.Backend {
	s := memory.New(opts)
	t.Cleanup(func() {
		require.Empty(t, s.Leases(), "the suite leaves no lease")
		require.NoError(t, s.Close())
	})
	c := &counted{Store: s}
	return adaptertest.Backend{Store: c, Calls: func() int { return int(c.calls.Load()) }}
}

// counted counts the calls that a store with a network would make.
type counted struct {
	*memory.Store
	calls atomic.Int64
}

func (c *counted) count(err error) {
	if err == nil {
		c.calls.Add(1)
	}
}

func (c *counted) Read(ctx context.Context, name string) (adapters.View, error) {
	c.count(adapters.CheckName(name, c.Limits()))
	return c.Store.Read(ctx, name)
}

func (c *counted) Watch(ctx context.Context, name string) iter.Seq2[adapters.View, error] {
	return func(yield func(adapters.View, error) bool) {
		for v, err := range c.Store.Watch(ctx, name) {
			c.count(err)
			if !yield(v, err) {
				return
			}
		}
	}
}

func (c *counted) Commit(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	c.count(tx.Validate(c.Limits()))
	return c.Store.Commit(ctx, tx)
}

func (c *counted) Renew(ctx context.Context, id adapters.LeaseID) (time.Duration, error) {
	c.count(nil)
	return c.Store.Renew(ctx, id)
}
