// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/quorate/quorate/adapters"
)

// ending replaces how watches end.
func (p *planted) ending(end func(ctx context.Context, yield func(adapters.View, error) bool)) {
	p.watch = func(ctx context.Context, name string) states {
		return func(yield func(adapters.View, error) bool) {
			for v, err := range p.store.Watch(ctx, name) {
				if ctx.Err() != nil {
					end(ctx, yield)
					return
				}
				if !yield(v, err) {
					return
				}
			}
		}
	}
}

var watchEndPlants = []plant{
	{
		name: "a watch ends silently", breaks: []string{"watch/ends-with-cause", "watch/over-before"},
		plant: func(p *planted) {
			p.ending(func(context.Context, func(adapters.View, error) bool) {})
		},
	},
	{
		name: "a watch ends with the context's error, not the cause", breaks: []string{"watch/ends-with-cause", "watch/over-before"},
		plant: func(p *planted) {
			p.ending(func(ctx context.Context, yield func(adapters.View, error) bool) { yield(adapters.View{}, ctx.Err()) })
		},
	},
	{
		name: "a watch goes on after its error", breaks: []string{"watch/ends-with-cause"},
		plant: func(p *planted) {
			p.ending(func(ctx context.Context, yield func(adapters.View, error) bool) {
				_ = yield(adapters.View{}, context.Cause(ctx)) && yield(adapters.View{}, context.Cause(ctx))
			})
		},
	},
	{
		name: "a watch ends late", breaks: []string{"watch/ends-with-cause"},
		plant: func(p *planted) {
			p.ending(func(ctx context.Context, yield func(adapters.View, error) bool) {
				time.Sleep(2 * prompt) // sleep: virtual, is the fault
				yield(adapters.View{}, context.Cause(ctx))
			})
		},
	},
	{
		name: "a watch yields a state before it looks at its context", breaks: []string{"watch/over-before"},
		plant: func(p *planted) {
			p.watch = func(ctx context.Context, name string) states {
				return func(yield func(adapters.View, error) bool) {
					if yield(p.now(name), nil) {
						yield(adapters.View{}, context.Cause(ctx))
					}
				}
			}
		},
	},
	{
		name: "a watch can be ranged over once", breaks: []string{"watch/again"},
		plant: func(p *planted) {
			p.watch = func(ctx context.Context, name string) states {
				var once sync.Once
				return func(yield func(adapters.View, error) bool) {
					err := errors.New("used already")
					once.Do(func() { err = nil })
					if err != nil {
						yield(adapters.View{}, err)
						return
					}
					p.store.Watch(ctx, name)(yield)
				}
			}
		},
	},
	{
		name: "a watch leaves a goroutine", breaks: []string{"watch/leaves-nothing"},
		plant: func(p *planted) {
			p.watch = func(ctx context.Context, name string) states {
				return func(yield func(adapters.View, error) bool) {
					go func() { <-p.done }()
					p.store.Watch(ctx, name)(yield)
				}
			}
		},
	},
}

var requestPlants = []plant{
	{
		name: "invalid requests are sent", breaks: []string{"request/invalid"},
		plant: func(p *planted) {
			p.commit = func(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
				if tx.Validate(p.store.Limits()) != nil {
					p.n.Add(1)
				}
				return p.store.Commit(ctx, tx)
			}
		},
	},
	{
		name: "a write without its condition is applied", breaks: []string{"request/invalid"},
		plant: func(p *planted) {
			p.commit = func(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
				if len(tx.If) == 0 && len(tx.Then) == 1 && tx.Then[0].Kind == adapters.OpPut {
					tx.If = []adapters.Cond{adapters.Absent(tx.Then[0].Key)}
				}
				return p.store.Commit(ctx, tx)
			}
		},
	},
	{
		name: "a commit is made although its context is over", breaks: []string{"request/context-over"},
		plant: func(p *planted) {
			p.commit = func(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
				res, err := p.store.Commit(context.WithoutCancel(ctx), tx)
				if ctx.Err() != nil {
					return adapters.Result{}, context.Cause(ctx)
				}
				return res, err
			}
		},
	},
	{
		name: "a call hangs although its context is over", breaks: []string{"request/context-over"},
		plant: func(p *planted) {
			p.renew = func(ctx context.Context, id adapters.LeaseID) (time.Duration, error) {
				if ctx.Err() != nil {
					time.Sleep(2 * prompt) // sleep: virtual, is the fault
				}
				return p.store.Renew(ctx, id)
			}
		},
	},
	{
		name: "a Read asks twice", breaks: []string{"cost/one-call"},
		plant: func(p *planted) {
			p.read = func(ctx context.Context, name string) (adapters.View, error) {
				p.n.Add(1)
				return p.store.Read(ctx, name)
			}
		},
	},
	{
		name: "a watch is a loop of reads", breaks: []string{"cost/idle-watch"},
		plant: func(p *planted) {
			p.watch = func(ctx context.Context, name string) states {
				return func(yield func(adapters.View, error) bool) {
					var last adapters.View
					for first := true; ; first = false {
						v, err := p.Read(ctx, name)
						if (first || err != nil || !equalStates(v, last)) && (!yield(v, err) || err != nil) {
							return
						}
						last = v
						time.Sleep(10 * time.Millisecond) // sleep: virtual, is the fault
					}
				}
			}
		},
	},
	{
		name: "a watch opens itself again at each change", breaks: []string{"cost/busy-watch"},
		plant: func(p *planted) {
			p.filter(func(string) step {
				return func(v adapters.View, yield func(adapters.View) bool) bool {
					p.n.Add(4)
					return yield(v)
				}
			})
		},
	},
}
