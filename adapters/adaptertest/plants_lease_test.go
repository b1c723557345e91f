// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/adapters"
)

var leasePlants = []plant{
	{
		name: "TTLs are rounded down", breaks: []string{"lease/grant"},
		plant: func(p *planted) {
			p.grant = func(ctx context.Context, ttl time.Duration) (adapters.Lease, error) {
				return p.store.Grant(ctx, max(ttl.Truncate(time.Second), 500*time.Millisecond))
			}
		},
	},
	{
		name: "PutKeep drops the lease", breaks: []string{"lease/put-keep", "expiry/at-once"},
		plant: func(p *planted) {
			p.rewrite(func(tx *adapters.Tx) {
				for i, op := range tx.Then {
					kv, ok := p.now(op.Key).Get(op.Key)
					if ok && op.Kind == adapters.OpPutKeep && kv.Lease != "" {
						tx.Then[i] = adapters.Put(op.Key, op.Value)
						tx.If = append(tx.If, adapters.HeldBy(op.Key, kv.Lease))
					}
				}
			})
		},
	},
	{
		name: "Put leaves the key on its lease", breaks: []string{"lease/put-off", "expiry/at-once"},
		plant: func(p *planted) {
			p.rewrite(func(tx *adapters.Tx) {
				for i, op := range tx.Then {
					kv, ok := p.now(op.Key).Get(op.Key)
					if ok && op.Kind == adapters.OpPut && kv.Lease != "" {
						tx.Then[i] = adapters.PutKeep(op.Key, op.Value)
					}
				}
			})
		},
	},
	{
		name: "PutLeased does not move the key", breaks: []string{"lease/move"},
		plant: func(p *planted) {
			p.rewrite(func(tx *adapters.Tx) {
				for i, op := range tx.Then {
					if op.Kind == adapters.OpPutLeased && len(p.now(op.Key).KVs) > 0 && !slices.Contains(tx.If, adapters.Absent(op.Key)) {
						tx.Then[i] = adapters.PutKeep(op.Key, op.Value)
					}
				}
			})
		},
	},
	{
		name: "a moved key still ends with its old lease", breaks: []string{"lease/move", "lease/put-off"},
		plant: func(p *planted) {
			once := make(map[adapters.LeaseID][]adapters.Op)
			p.rewrite(func(tx *adapters.Tx) {
				for _, op := range tx.Then {
					if op.Kind == adapters.OpPutLeased {
						once[op.Lease] = append(once[op.Lease], adapters.Delete(op.Key))
					}
				}
			})
			p.revoke = func(ctx context.Context, id adapters.LeaseID) error {
				if len(once[id]) > 0 {
					_, _ = p.store.Commit(ctx, adapters.Tx{Then: once[id]})
				}
				return p.store.Revoke(ctx, id)
			}
		},
	},
	{
		name: "Revoke of a dead lease is an error", breaks: []string{"lease/revoke"},
		plant: func(p *planted) {
			p.revoke = func(ctx context.Context, id adapters.LeaseID) error {
				if !slices.Contains(p.store.Leases(), id) {
					return adapters.ErrLeaseLost
				}
				return p.store.Revoke(ctx, id)
			}
		},
	},
	{
		name: "Revoke returns before the keys are gone", breaks: []string{"lease/revoke"},
		plant: func(p *planted) {
			p.revoke = func(ctx context.Context, id adapters.LeaseID) error {
				time.AfterFunc(10*time.Millisecond, func() { p.store.Expire(id) })
				return nil
			}
		},
	},
	{
		name: "Renew of a dead lease succeeds", breaks: []string{"lease/revoked", "expiry/dead"},
		plant: func(p *planted) {
			p.renew = func(ctx context.Context, id adapters.LeaseID) (time.Duration, error) {
				ttl, err := p.store.Renew(ctx, id)
				if errors.Is(err, adapters.ErrLeaseLost) {
					return time.Second, nil
				}
				return ttl, err
			}
		},
	},
	{
		name: "a put on a dead lease makes the key immortal", breaks: []string{"expiry/dead", "lease/revoked", "commit/all-or-nothing"},
		plant: func(p *planted) {
			p.commit = func(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
				res, err := p.store.Commit(ctx, tx)
				if errors.Is(err, adapters.ErrLeaseLost) {
					tx.Then = slices.Clone(tx.Then)
					for i, op := range tx.Then {
						tx.Then[i] = adapters.Put(op.Key, op.Value)
					}
					return p.store.Commit(ctx, tx)
				}
				return res, err
			}
		},
	},
	{
		name: "leases end early", breaks: []string{"expiry/in-time", "expiry/watch"},
		plant: func(p *planted) {
			p.grant = func(ctx context.Context, ttl time.Duration) (adapters.Lease, error) {
				l, err := p.store.Grant(ctx, ttl*9/10)
				return adapters.Lease{ID: l.ID, TTL: ttl}, err
			}
		},
	},
	{
		name: "leases end later than Limits say", breaks: []string{"expiry/in-time", "expiry/dead"},
		limits: func(l *adapters.Limits) { l.ExpiryLag = slack + 100*time.Millisecond },
		plant: func(p *planted) {
			p.limits = func(l adapters.Limits) adapters.Limits { l.ExpiryLag = 0; return l }
		},
	},
	{
		name: "Renew does nothing", breaks: []string{"expiry/renewed"},
		plant: func(p *planted) {
			p.renew = func(ctx context.Context, id adapters.LeaseID) (time.Duration, error) {
				if !slices.Contains(p.store.Leases(), id) {
					return 0, adapters.ErrLeaseLost
				}
				return 500 * time.Millisecond, nil
			}
		},
	},
	{
		name: "the end of a lease takes two steps", breaks: []string{"expiry/at-once"},
		plant: func(p *planted) {
			var mu sync.Mutex
			second := make(map[adapters.LeaseID]adapters.LeaseID)
			first := make(map[adapters.LeaseID]adapters.LeaseID)
			p.grant = func(ctx context.Context, ttl time.Duration) (adapters.Lease, error) {
				l, err := p.store.Grant(ctx, ttl)
				l2, _ := p.store.Grant(ctx, ttl+20*time.Millisecond)
				mu.Lock()
				defer mu.Unlock()
				second[l.ID], first[l2.ID] = l2.ID, l.ID
				return l, err
			}
			p.rewrite(func(tx *adapters.Tx) {
				mu.Lock()
				defer mu.Unlock()
				for i, op := range tx.Then {
					if op.Kind == adapters.OpPutLeased && strings.HasSuffix(op.Key, "/c") {
						tx.Then[i].Lease = second[op.Lease]
					}
				}
			})
			p.show = func(kv adapters.KV) adapters.KV {
				mu.Lock()
				defer mu.Unlock()
				if id, ok := first[kv.Lease]; ok {
					kv.Lease = id
				}
				return kv
			}
		},
	},
	{
		name: "the end of a lease leaves a key behind", breaks: []string{"expiry/at-once"},
		plant: func(p *planted) {
			var mu sync.Mutex
			was := make(map[string]adapters.LeaseID)
			p.rewrite(func(tx *adapters.Tx) {
				mu.Lock()
				defer mu.Unlock()
				for i, op := range tx.Then {
					if op.Kind == adapters.OpPutLeased && strings.HasSuffix(op.Key, "/c") {
						was[op.Key] = op.Lease
						tx.Then[i] = adapters.Put(op.Key, op.Value)
					}
				}
			})
			p.show = func(kv adapters.KV) adapters.KV {
				mu.Lock()
				defer mu.Unlock()
				if id, ok := was[kv.Key]; ok {
					kv.Lease = id
				}
				return kv
			}
		},
	},
}
