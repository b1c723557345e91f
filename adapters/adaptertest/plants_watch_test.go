// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"context"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/adapters"
)

type states = iter.Seq2[adapters.View, error]

// step is what a watch does with a state: it may yield it, or others, or
// nothing; false ends the watch.
type step func(v adapters.View, yield func(adapters.View) bool) bool

// filter makes each watch pass its states through a step of its own.
func (p *planted) filter(begin func(name string) step) {
	p.watch = func(ctx context.Context, name string) states {
		return func(yield func(adapters.View, error) bool) {
			pass := begin(name)
			for v, err := range p.store.Watch(ctx, name) {
				if err != nil {
					yield(v, err)
					return
				}
				if !pass(v, func(v adapters.View) bool { return yield(v, nil) }) {
					return
				}
			}
		}
	}
}

var watchPlants = []plant{
	{
		name: "a watch begins with a state of the past", breaks: []string{"watch/first"},
		plant: func(p *planted) {
			var mu sync.Mutex
			cache := make(map[string]adapters.View)
			p.filter(func(name string) step {
				return func(v adapters.View, yield func(adapters.View) bool) bool {
					mu.Lock()
					old, ok := cache[name]
					cache[name] = v
					mu.Unlock()
					return (!ok || yield(old)) && yield(v)
				}
			})
		},
	},
	{
		name: "a watch says nothing of what is missing", breaks: []string{"watch/missing"},
		plant: func(p *planted) {
			p.filter(func(string) step {
				return func(v adapters.View, yield func(adapters.View) bool) bool { return len(v.KVs) == 0 || yield(v) }
			})
		},
	},
	{
		name: "a watch does not show deletes", breaks: []string{"watch/changes", "expiry/watch"},
		plant: func(p *planted) {
			p.filter(func(string) step {
				n := 0
				return func(v adapters.View, yield func(adapters.View) bool) bool {
					skip := len(v.KVs) < n
					n = len(v.KVs)
					return skip || yield(v)
				}
			})
		},
	},
	{
		name: "a watch does not show the end of a lease", breaks: []string{"expiry/watch", "watch/changes"},
		plant: func(p *planted) {
			p.filter(func(string) step {
				var last adapters.View
				return func(v adapters.View, yield func(adapters.View) bool) bool {
					for _, kv := range last.KVs {
						if _, ok := v.Get(kv.Key); !ok && kv.Lease != "" {
							return true
						}
					}
					last = v
					return yield(v)
				}
			})
		},
	},
	{
		name: "a subtree is whatever begins alike", breaks: []string{"watch/scope"},
		plant: func(p *planted) {
			p.read = func(ctx context.Context, name string) (adapters.View, error) {
				i := strings.Index(name, "/") + 1
				if i == 0 || i == len(name) || !strings.HasSuffix(name, "/") {
					return p.store.Read(ctx, name)
				}
				all, err := p.store.Read(ctx, name[:i])
				v := adapters.View{Rev: all.Rev}
				for _, kv := range all.KVs {
					if strings.HasPrefix(kv.Key, strings.TrimSuffix(name, "/")) {
						v.KVs = append(v.KVs, kv)
					}
				}
				return v, err
			}
		},
	},
	{
		name: "a watch compares values", breaks: []string{"watch/equal-value", "watch/recreated"},
		plant: func(p *planted) {
			p.filter(func(string) step {
				last := "none"
				return func(v adapters.View, yield func(adapters.View) bool) bool {
					now := ""
					for _, kv := range v.KVs {
						now += kv.Key + "=" + string(kv.Value) + "\n"
					}
					if now == last || now == "" && last != "none" {
						return true
					}
					last = now
					return yield(v)
				}
			})
		},
	},
	{
		name: "a watch wakes for every write in the store", breaks: []string{"watch/quiet"},
		plant: func(p *planted) {
			p.watch = func(ctx context.Context, name string) states {
				return func(yield func(adapters.View, error) bool) {
					root := name[:strings.Index(name, "/")+1]
					for _, err := range p.store.Watch(ctx, root) {
						v := adapters.View{}
						if err == nil {
							v = p.now(name)
						}
						if !yield(v, err) {
							return
						}
					}
				}
			}
		},
	},
	{
		name: "a watch yields each state twice", breaks: []string{"watch/quiet", "watch/changes"},
		plant: func(p *planted) {
			p.filter(func(string) step {
				return func(v adapters.View, yield func(adapters.View) bool) bool { return yield(v) && yield(v) }
			})
		},
	},
	{
		name: "a watch goes back", breaks: []string{"watch/burst", "watch/changes"},
		plant: func(p *planted) {
			p.filter(func(string) step {
				var last []adapters.View
				return func(v adapters.View, yield func(adapters.View) bool) bool {
					old := last
					last = []adapters.View{v}
					return yield(v) && (len(old) == 0 || yield(old[0]) && yield(v))
				}
			})
		},
	},
	{
		name: "a watch drops what comes too fast", breaks: []string{"watch/burst"},
		plant: func(p *planted) {
			p.filter(func(string) step {
				var last time.Time
				return func(v adapters.View, yield func(adapters.View) bool) bool {
					now := time.Now()
					if now.Sub(last) < 5*time.Millisecond {
						return true
					}
					last = now
					return yield(v)
				}
			})
		},
	},
	{
		name: "a watch drops what comes while its reader is busy", breaks: []string{"watch/slow-reader"},
		plant: func(p *planted) {
			p.watch = func(ctx context.Context, name string) states {
				return func(yield func(adapters.View, error) bool) {
					ctx, cancel := context.WithCancelCause(ctx)
					defer cancel(nil)
					queue, end := make(chan adapters.View, 1), make(chan error, 1)
					go func() {
						for v, err := range p.store.Watch(ctx, name) {
							if err != nil {
								end <- err
								return
							}
							select {
							case queue <- v:
							default:
							}
						}
					}()
					for {
						select {
						case v := <-queue:
							if !yield(v, nil) {
								return
							}
						case err := <-end:
							yield(adapters.View{}, err)
							return
						}
					}
				}
			}
		},
	},
	{
		name: "a watch shows a Tx key by key", breaks: []string{"watch/atomic"},
		plant: func(p *planted) {
			p.filter(func(string) step {
				var last adapters.View
				return func(v adapters.View, yield func(adapters.View) bool) bool {
					old := last
					last = v
					if len(old.KVs) == 2 && len(v.KVs) == 2 && old.KVs[0].Mod != v.KVs[0].Mod && old.KVs[1].Mod != v.KVs[1].Mod {
						half := adapters.View{Rev: v.Rev, KVs: []adapters.KV{v.KVs[0], old.KVs[1]}}
						return yield(half) && yield(v)
					}
					return yield(v)
				}
			})
		},
	},
}
