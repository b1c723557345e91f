// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/adapters"
)

var revisionPlants = []plant{
	{
		name: "revisions are counted for each key", breaks: []string{"revision/grows"},
		plant: func(p *planted) {
			var mu sync.Mutex
			mods := make(map[string][]adapters.Rev) // true revisions of a key, in order
			number := func(key string, rev adapters.Rev) adapters.Rev {
				mu.Lock()
				defer mu.Unlock()
				if i := slices.Index(mods[key], rev); i >= 0 {
					return adapters.Rev(i + 1)
				}
				mods[key] = append(mods[key], rev)
				return adapters.Rev(len(mods[key]))
			}
			p.show = func(kv adapters.KV) adapters.KV {
				kv.Created, kv.Mod = number(kv.Key, kv.Created), number(kv.Key, kv.Mod)
				return kv
			}
			p.rewrite(func(tx *adapters.Tx) {
				mu.Lock()
				defer mu.Unlock()
				for i, c := range tx.If {
					if n := int(c.Mod); n > 0 && n <= len(mods[c.Key]) {
						tx.If[i].Mod = mods[c.Key][n-1]
					}
				}
			})
		},
	},
	{
		name: "Created is kept across a delete", breaks: []string{"revision/created", "watch/recreated"},
		plant: func(p *planted) {
			var mu sync.Mutex
			first := make(map[string]adapters.Rev)
			p.show = func(kv adapters.KV) adapters.KV {
				mu.Lock()
				defer mu.Unlock()
				if first[kv.Key] == 0 {
					first[kv.Key] = kv.Created
				}
				kv.Created = first[kv.Key]
				return kv
			}
		},
	},
	{
		name: "another lease is another Created", breaks: []string{"revision/created"},
		plant: func(p *planted) {
			p.rewrite(func(tx *adapters.Tx) {
				for _, op := range tx.Then { // delete and create, as with an adapter that cannot move keys
					kv, ok := p.now(op.Key).Get(op.Key)
					if ok && op.Kind != adapters.OpDelete && op.Kind != adapters.OpPutKeep && kv.Lease != op.Lease && slices.Contains(tx.If, adapters.HeldBy(op.Key, kv.Lease)) {
						_, _ = p.store.Commit(context.Background(), adapters.Tx{Then: []adapters.Op{adapters.Delete(op.Key)}})
						tx.If = []adapters.Cond{adapters.Absent(op.Key)}
					}
				}
			})
		},
	},
	{
		name: "the Rev of a Tx is not that of its keys", breaks: []string{"revision/shared", "commit/read-after"},
		plant: func(p *planted) {
			p.commit = func(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
				res, err := p.store.Commit(ctx, tx)
				if err == nil {
					res.Rev++
				}
				return res, err
			}
		},
	},
	{
		name: "an equal value does not move Mod", breaks: []string{"revision/equal-value", "revision/equal-value-race", "watch/equal-value"},
		plant: func(p *planted) {
			p.commit = func(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
				if len(tx.Then) == 1 && tx.Then[0].Kind == adapters.OpPutKeep {
					kv, _ := p.now(tx.Then[0].Key).Get(tx.Then[0].Key)
					if bytes.Equal(kv.Value, tx.Then[0].Value) && slices.Contains(tx.If, adapters.Unchanged(kv.Key, kv.Mod)) {
						return adapters.Result{Rev: kv.Mod}, nil
					}
				}
				return p.store.Commit(ctx, tx)
			}
		},
	},
	{
		name: "conditions are checked before the write, not with it", breaks: []string{"revision/equal-value-race", "revision/counter"},
		plant: checkThenAct,
	},
}

func checkThenAct(p *planted) {
	p.commit = func(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
		if len(tx.Then) != 1 || tx.Then[0].Kind != adapters.OpPutKeep {
			return p.store.Commit(ctx, tx)
		}
		if _, err := p.store.Commit(ctx, adapters.Tx{If: tx.If}); err != nil {
			return adapters.Result{}, err
		}
		time.Sleep(time.Millisecond) // sleep: virtual, lets others check too
		for {
			kv, _ := p.now(tx.Then[0].Key).Get(tx.Then[0].Key)
			res, err := p.store.Commit(ctx, swap(kv.Key, kv.Mod, string(tx.Then[0].Value)))
			if err == nil {
				return res, nil
			}
		}
	}
}
