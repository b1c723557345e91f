// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/stretchr/testify/require"
)

const maxHubs = 8 // as the package has it

// peak returns the most requests of a kind that were under way at once.
func (f *fake) peak(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most[kind]
}

// slowly has every answer that does not wait for a change take d.
func (f *fake) slowly(d time.Duration) {
	f.scripted(func(ctx context.Context, c call) (*http.Response, error) { return nil, pause(ctx, d) })
}

func TestMaxCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.slowly(100 * time.Millisecond)
		store := f.store(t, consul.Options{MaxCalls: 3})
		start := time.Now()
		var calls sync.WaitGroup
		for i := range 30 {
			calls.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = store.Commit(t.Context(), erase)
				} else {
					_, err = store.Read(t.Context(), "a/")
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		require.Equal(t, 3, f.peak("call"))
		require.Less(t, time.Since(start), 1500*time.Millisecond, "slots are used again")
	})
}

// TestManyWatches: with a single query of their own, hundreds of watches see
// their changes, each of them exactly its own, over a few connections.
func TestManyWatches(t *testing.T) {
	for _, segments := range []int{1, 7, 40} {
		synctest.Test(t, func(t *testing.T) {
			const n = 300
			f := newFake()
			store := f.store(t, consul.Options{MaxPolls: 1, MaxCalls: 4})
			names := make([]string, n)
			watches := make([]*follower, n)
			for i := range n {
				names[i] = fmt.Sprintf("s%d/%d", i%segments, i)
				if i%3 == 0 {
					names[i] += "/"
				}
				watches[i] = follow(t.Context(), store, names[i])
			}
			key := func(i int) string {
				if i%3 == 0 {
					return names[i] + "k"
				}
				return names[i]
			}
			wait(5 * time.Second)
			for i := range n {
				require.Equal(t, []string{"-"}, watches[i].saw(), names[i])
			}
			require.LessOrEqual(t, f.peak("poll"), 1+maxHubs)
			require.LessOrEqual(t, f.peak("call"), 4)
			roots := make(map[string]bool)
			for _, c := range f.received("GET /v1/kv/") {
				if c.query.Has("keys") {
					roots[c.what] = true
				}
			}
			require.LessOrEqual(t, len(roots), maxHubs)
			for _, c := range f.received(txnCall) {
				var ops []any
				require.NoError(t, json.Unmarshal([]byte(c.body), &ops))
				require.LessOrEqual(t, len(ops), 128)
			}
			for i := range n {
				f.set(key(i), fmt.Sprint(i))
			}
			wait(2 * time.Second)
			for i := range n {
				require.Equal(t, []string{"-", fmt.Sprint(i)}, watches[i].saw(), names[i])
			}

			// One change costs a few requests, not one for each watch.
			f.forget()
			f.set(key(7), "again")
			wait(2 * time.Second)
			require.Equal(t, []string{"-", "7", "again"}, watches[7].saw())
			require.Less(t, f.count(""), 30)
		})
	}
}

// TestCommitBesideWatches: a lock can be released however many wait, and though
// none of their queries is answered.
func TestCommitBesideWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.on("GET /v1/kv/", func(ctx context.Context, _ call) (*http.Response, error) { return hang(ctx) })
		store := f.store(t, consul.Options{MaxPolls: 1, MaxCalls: 1})
		for i := range 300 {
			follow(t.Context(), store, fmt.Sprintf("a/%d", i))
		}
		wait(5 * time.Second)
		start := time.Now()
		_, err := store.Commit(t.Context(), erase)
		require.NoError(t, err)
		require.Less(t, time.Since(start), 10*time.Millisecond)
	})
}

// TestHubEnds: the last watch that leaves ends what they shared, and the next
// one begins anew.
func TestHubEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set("a/k", "1")
		store := f.store(t, consul.Options{MaxPolls: 1})
		follow(t.Context(), store, "other")
		wait(time.Second)
		for range 3 {
			one, stop1 := context.WithCancel(t.Context())
			two, stop2 := context.WithCancel(t.Context())
			follow(one, store, "a/k")
			w := follow(two, store, "a/")
			wait(time.Second)
			stop1()
			f.set("a/k", "2")
			wait(time.Second)
			require.Equal(t, []string{"1", "2"}, w.saw(), "the other one goes on")
			stop2()
			synctest.Wait()
			f.forget()
			f.set("a/k", "1")
			wait(20 * time.Second)
			require.Zero(t, f.count("GET /v1/kv/a")+f.count("PUT"), "nobody asks")
		}
	})
}

// TestHubCrowding: watches come and go while others change keys. Whoever stays
// sees the last state, and hubs never are more than they may be.
func TestHubCrowding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		store := f.store(t, consul.Options{MaxPolls: 2})
		var stays []*follower
		var stops []context.CancelFunc
		for i := range 200 {
			ctx, stop := context.WithCancel(t.Context())
			w := follow(ctx, store, fmt.Sprintf("s%d/k", i%20))
			if i%4 == 0 {
				stays = append(stays, w)
				stop = func() {}
			}
			stops = append(stops, stop)
			if i >= 10 {
				stops[i-10]()
			}
			f.set(fmt.Sprintf("s%d/k", (i*7)%20), fmt.Sprint(i))
			time.Sleep(time.Duration(i%5) * time.Millisecond)
		}
		for i := range 20 {
			f.set(fmt.Sprintf("s%d/k", i), "end")
		}
		wait(2 * time.Second)
		for _, w := range stays {
			saw := w.saw()
			require.Equal(t, "end", saw[len(saw)-1])
		}
		require.LessOrEqual(t, f.peak("poll"), 2+maxHubs)
		for _, stop := range stops {
			stop()
		}
	})
}

// TestDeniedInHub: what one watch may not see ends that one alone, also if
// others are about parts of it that are to be seen.
func TestDeniedInHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.hide(func(key string) bool {
			return strings.HasPrefix(key, "a/") && !strings.HasPrefix(key, "a/mine/")
		})
		f.set("a/mine/k", "1")
		f.set("a/other/k", "x")
		store := f.store(t, consul.Options{MaxPolls: 1})
		follow(t.Context(), store, "z")
		wait(time.Second)
		var mine, denied []*follower
		for range 20 { // both in one round, in any order
			mine = append(mine, follow(t.Context(), store, "a/mine/"), follow(t.Context(), store, "a/mine/k"))
			denied = append(denied, follow(t.Context(), store, "a/"), follow(t.Context(), store, "a/other/k"), follow(t.Context(), store, "a/m"))
			wait(20 * time.Millisecond)
		}
		wait(time.Second)
		for _, w := range denied {
			err, ended := w.end()
			require.True(t, ended)
			require.ErrorIs(t, err, adapters.ErrDenied)
			require.Empty(t, w.saw())
		}
		f.set("a/mine/k", "2")
		wait(time.Second)
		for _, w := range mine {
			_, ended := w.end()
			require.False(t, ended)
			saw := w.saw()
			require.Equal(t, "2", saw[len(saw)-1])
		}
	})
}

// TestListDenied: with acl.enable_key_list_policy Consul refuses the names of the
// keys to who may read them. The watches are slow then, and not blind.
func TestListDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set("a/k", "1")
		store := f.store(t, consul.Options{MaxPolls: 1})
		follow(t.Context(), store, "z")
		wait(time.Second)
		f.scripted(func(_ context.Context, c call) (*http.Response, error) {
			if c.query.Has("keys") {
				return reply(403, "Permission denied: token with AccessorID 'x' lacks permission 'key:list' on \"a/\""), nil
			}
			return nil, nil
		})
		w := follow(t.Context(), store, "a/k")
		wait(5 * time.Second)
		f.set("a/k", "2")
		wait(2 * time.Second)
		require.Equal(t, []string{"1", "2"}, w.saw())
		f.forget()
		wait(time.Minute)
		require.Less(t, f.count(""), 300)
	})
}

// TestFailingRound: a read of what has changed is made until it succeeds.
func TestFailingRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		store := f.store(t, consul.Options{MaxPolls: 1})
		follow(t.Context(), store, "z")
		wait(time.Second)
		w := follow(t.Context(), store, "a/k")
		wait(time.Second)
		for i, breaks := range []func(){
			func() { f.on(txnCall, func(ctx context.Context, _ call) (*http.Response, error) { return hang(ctx) }) },
			func() {
				f.on(txnCall, func(context.Context, call) (*http.Response, error) { return reply(500, "No cluster leader"), nil })
			},
			func() {
				f.on(txnCall, func(context.Context, call) (*http.Response, error) { return reply(409, `{"Errors":[]}`), nil })
			},
		} {
			breaks()
			f.set("a/k", fmt.Sprint(i))
			wait(5 * time.Second)
			require.Len(t, w.saw(), i+1)
			f.scripted(nil)
			wait(5 * time.Second)
			saw := w.saw()
			require.Equal(t, fmt.Sprint(i), saw[len(saw)-1])
		}
	})
}

// TestBusyStore: a hub that is woken by writes that none of its watches is about
// does not ask without end.
func TestBusyStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		store := f.store(t, consul.Options{MaxPolls: 1})
		follow(t.Context(), store, "z/z")
		wait(time.Second)
		var watches []*follower
		for i := range 100 {
			watches = append(watches, follow(t.Context(), store, fmt.Sprintf("a/%d", i)))
		}
		wait(time.Second)
		f.forget()
		for i := range 10_000 { // one in a millisecond
			f.set("elsewhere", fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		require.Less(t, f.count("GET /v1/kv/a/"), 300)
		require.Less(t, f.count(txnCall), 600)
		f.set("a/7", "1")
		wait(time.Second)
		require.Equal(t, []string{"-", "1"}, watches[7].saw())
	})
}
