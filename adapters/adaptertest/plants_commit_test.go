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

var commitPlants = []plant{
	{
		name: "tags are dropped when a key is kept", breaks: []string{"commit/tag"},
		limits: func(l *adapters.Limits) { l.LockTag = 7 },
		plant: func(p *planted) {
			p.rewrite(func(tx *adapters.Tx) {
				for i, op := range tx.Then {
					if op.Kind == adapters.OpPutKeep {
						tx.Then[i].Tag = 0
					}
				}
			})
		},
	},
	{
		name: "every other read is the one before", breaks: []string{"commit/read-after", "revision/equal-value"},
		plant: func(p *planted) {
			var mu sync.Mutex
			old := make(map[string]adapters.View)
			p.read = func(ctx context.Context, name string) (adapters.View, error) {
				mu.Lock()
				defer mu.Unlock()
				if v, ok := old[name]; ok {
					delete(old, name)
					return v, nil
				}
				v, err := p.store.Read(ctx, name)
				old[name] = v
				return v, err
			}
		},
	},
	{
		name: "conflicts are swallowed", breaks: []string{"commit/create-once", "commit/conditions", "revision/equal-value", "lease/move"},
		plant: func(p *planted) {
			p.commit = func(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
				res, err := p.store.Commit(ctx, tx)
				if errors.Is(err, adapters.ErrConflict) {
					return adapters.Result{Views: make([]adapters.View, len(tx.Reads))}, nil
				}
				return res, err
			}
		},
	},
	{
		name: "Mod 0 is taken for absence", breaks: []string{"commit/conditions"},
		plant: func(p *planted) {
			p.rewrite(func(tx *adapters.Tx) {
				for i, c := range tx.If {
					if c.Kind == adapters.CondUnchanged && c.Mod == 0 {
						tx.If[i] = adapters.Absent(c.Key)
					}
				}
			})
		},
	},
	{
		name: "a later condition replaces an earlier one on the same key", breaks: []string{"commit/several-conditions"},
		plant: func(p *planted) {
			p.rewrite(func(tx *adapters.Tx) {
				last := make(map[string]int)
				for i, c := range tx.If {
					last[c.Key] = i
				}
				var conds []adapters.Cond
				for i, c := range tx.If {
					if last[c.Key] == i {
						conds = append(conds, c)
					}
				}
				tx.If = conds
			})
		},
	},
	{
		name: "writes are applied one by one", breaks: []string{"commit/all-or-nothing", "watch/atomic", "revision/shared"},
		plant: func(p *planted) {
			p.commit = func(ctx context.Context, tx adapters.Tx) (res adapters.Result, err error) {
				if len(tx.Then) < 2 {
					return p.store.Commit(ctx, tx)
				}
				if _, err := p.store.Commit(ctx, adapters.Tx{If: tx.If, Reads: []string{"probe"}}); err != nil {
					return res, err
				}
				for _, op := range tx.Then {
					one := adapters.Tx{Then: []adapters.Op{op}, Reads: tx.Reads}
					for _, c := range tx.If {
						if c.Key == op.Key {
							one.If = append(one.If, c)
						}
					}
					if res, err = p.store.Commit(ctx, one); err != nil {
						return res, err
					}
					time.Sleep(time.Millisecond) // sleep: virtual, lets readers see half
				}
				return res, nil
			}
		},
	},
	{
		name: "the reads of a Tx come first", breaks: []string{"commit/reads"},
		plant: func(p *planted) {
			p.commit = func(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
				var views []adapters.View
				for _, name := range tx.Reads {
					views = append(views, p.now(name))
				}
				res, err := p.store.Commit(ctx, tx)
				if err == nil {
					res.Views = views
				}
				return res, err
			}
		},
	},
	{
		name: "a conflict still answers the reads", breaks: []string{"commit/reads"},
		plant: func(p *planted) {
			p.commit = func(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
				res, err := p.store.Commit(ctx, tx)
				for _, name := range tx.Reads {
					if err != nil {
						res.Views = append(res.Views, p.now(name))
					}
				}
				return res, err
			}
		},
	},
	{
		name: "a delete takes the subtree along", breaks: []string{"commit/delete"},
		plant: func(p *planted) {
			p.rewrite(func(tx *adapters.Tx) {
				for _, op := range tx.Then {
					if op.Kind == adapters.OpDelete {
						for _, kv := range p.now(op.Key + "/").KVs {
							tx.Then = append(tx.Then, adapters.Delete(kv.Key))
						}
					}
				}
			})
		},
	},
	{
		name: "a delete of what is not there is an error", breaks: []string{"commit/delete"},
		plant: func(p *planted) {
			p.rewrite(func(tx *adapters.Tx) {
				for _, op := range tx.Then {
					if op.Kind == adapters.OpDelete && len(p.now(op.Key).KVs) == 0 {
						tx.If = append(tx.If, adapters.Unchanged(op.Key, 1))
					}
				}
			})
		},
	},
	{
		name: "values share memory with their writer", breaks: []string{"commit/values"},
		plant: func(p *planted) {
			values := make(map[string][]byte)
			p.commit = func(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
				for _, op := range tx.Then {
					values[op.Key] = op.Value
				}
				return p.store.Commit(ctx, tx)
			}
			p.show = func(kv adapters.KV) adapters.KV {
				if v, ok := values[kv.Key]; ok {
					kv.Value = v
				}
				return kv
			}
		},
	},
	{
		name: "values share memory with their readers", breaks: []string{"commit/values"},
		plant: func(p *planted) {
			values := make(map[string][]byte)
			p.show = func(kv adapters.KV) adapters.KV {
				if _, ok := values[kv.Key]; !ok {
					values[kv.Key] = kv.Value
				}
				kv.Value = values[kv.Key]
				return kv
			}
		},
	},
	{
		name: "keys are decoded on the way", breaks: []string{"names/hostile"},
		plant: func(p *planted) {
			p.rewrite(func(tx *adapters.Tx) {
				for i := range tx.If {
					tx.If[i].Key = strings.ReplaceAll(tx.If[i].Key, "%25", "%")
				}
				for i := range tx.Then {
					tx.Then[i].Key = strings.ReplaceAll(tx.Then[i].Key, "%25", "%")
				}
			})
			p.read = func(ctx context.Context, name string) (adapters.View, error) {
				return p.store.Read(ctx, strings.ReplaceAll(name, "%25", "%"))
			}
		},
	},
	{
		name: "Limits promise too long a value", breaks: []string{"limits/reached"},
		plant: func(p *planted) {
			p.limits = func(l adapters.Limits) adapters.Limits { l.MaxValue++; return l }
		},
	},
}

// rewrite changes each Tx on its way to the store.
func (p *planted) rewrite(change func(*adapters.Tx)) {
	p.commit = func(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
		if tx.Validate(p.store.Limits()) == nil {
			tx.If, tx.Then = slices.Clone(tx.If), slices.Clone(tx.Then)
			change(&tx)
		}
		return p.store.Commit(ctx, tx)
	}
}
