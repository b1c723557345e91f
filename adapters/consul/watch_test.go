// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/adapters/consul"
	"github.com/stretchr/testify/require"
)

// wait lets virtual time pass, and then all goroutines come to rest.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A kind of watch is either one that has its own query, or one that shares it
// since somebody else took the last of them.
var kinds = map[string]func(context.Context, *testing.T, *consul.Store){
	"alone": func(context.Context, *testing.T, *consul.Store) {},
	"shared": func(ctx context.Context, _ *testing.T, store *consul.Store) {
		follow(ctx, store, "other/")
		wait(time.Second)
	},
}

// watching runs a test with both kinds of watch, in virtual time.
func watching(t *testing.T, opts consul.Options, test func(t *testing.T, f *fake, watch func(name string) *follower)) {
	for what, prepare := range kinds {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.set("other/x", "")
				opts := opts
				opts.MaxPolls = 1
				store := f.store(t, opts)
				prepare(t.Context(), t, store)
				test(t, f, func(name string) *follower { return follow(t.Context(), store, name) })
			})
		})
	}
}

func TestWatch(t *testing.T) {
	watching(t, consul.Options{}, func(t *testing.T, f *fake, watch func(string) *follower) {
		f.set("a/k", "1")
		key, tree, none := watch("a/k"), watch("a/"), watch("b/")
		wait(time.Second)
		f.set("a/k", "2")
		wait(time.Second)
		f.set("elsewhere", "")
		f.remove("a/k")
		wait(time.Second)
		f.remove("a/k")
		f.set("a/k", "3")
		wait(time.Second)
		require.Equal(t, []string{"1", "2", "-", "3"}, key.saw())
		require.Equal(t, []string{"1", "2", "-", "3"}, tree.saw())
		require.Equal(t, []string{"-"}, none.saw())
		require.Greater(t, tree.views[3].KVs[0].Created, tree.views[1].KVs[0].Created)
	})
}

// TestWatchCoalesces: a reader that is busy is shown the last state, and holds
// nobody up.
func TestWatchCoalesces(t *testing.T) {
	for what, prepare := range kinds {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			store := f.store(t, consul.Options{MaxPolls: 1})
			prepare(t.Context(), t, store)
			f.set("a/k", "0")
			var seen []string
			for view, err := range store.Watch(t.Context(), "a/") {
				require.NoError(t, err)
				seen = append(seen, string(view.KVs[0].Value))
				if len(seen) == 1 {
					for i := range 10 {
						f.set("a/k", fmt.Sprint(i))
						time.Sleep(time.Second)
					}
				}
				if seen[len(seen)-1] == "9" {
					break
				}
			}
			require.LessOrEqual(t, len(seen), 3, "%s: %v", what, seen)
		})
	}
}

// TestIndexReset: the servers' state is replaced by an older one. The index of
// before would be one of the future, at which nothing is ever answered.
func TestIndexReset(t *testing.T) {
	watching(t, consul.Options{}, func(t *testing.T, f *fake, watch func(string) *follower) {
		for range 100 {
			f.set("a/k", "1")
		}
		w := watch("a/")
		wait(time.Second)
		f.forget()
		f.restore(50, "a/k", "2", true)
		wait(time.Second)
		require.Equal(t, []string{"1", "2"}, w.saw())
		require.False(t, f.received("GET /v1/kv/a")[0].query.Has("index"), "it reads anew")
		f.forget()
		f.set("a/k", "3")
		wait(time.Second)
		require.Equal(t, []string{"1", "2", "3"}, w.saw())
		for _, c := range f.received("GET /v1/kv/a") {
			require.Contains(t, []string{"50", "51"}, c.query.Get("index"))
		}
	})
}

// TestFutureIndex: a query goes out with an index that is one of the future by
// now, so no change ends it. Its wait does, and the index is not kept.
func TestFutureIndex(t *testing.T) {
	watching(t, consul.Options{}, func(t *testing.T, f *fake, watch func(string) *follower) {
		for range 100 {
			f.set("a/k", "1")
		}
		w := watch("a/")
		wait(time.Second)
		f.restore(50, "a/k", "2", false)
		wait(65 * time.Second)
		require.Equal(t, []string{"1", "2"}, w.saw())
		f.set("a/k", "3")
		wait(time.Second)
		require.Equal(t, []string{"1", "2", "3"}, w.saw())
	})
}

// TestRestoredInOutage: the same, while nobody answers.
func TestRestoredInOutage(t *testing.T) {
	watching(t, consul.Options{}, func(t *testing.T, f *fake, watch func(string) *follower) {
		for range 100 {
			f.set("a/k", "1")
		}
		w := watch("a/")
		wait(time.Second)
		f.die()
		f.restore(50, "a/k", "2", false)
		wait(10 * time.Second)
		f.scripted(nil)
		wait(4 * time.Second)
		saw := w.saw()
		require.Equal(t, "2", saw[len(saw)-1])
		f.set("a/k", "3")
		wait(time.Second)
		saw = w.saw()
		require.Equal(t, "3", saw[len(saw)-1])
	})
}

// TestSilentQuery: a query that is not answered after its wait is given up,
// though the agent seems well.
func TestSilentQuery(t *testing.T) {
	watching(t, consul.Options{}, func(t *testing.T, f *fake, watch func(string) *follower) {
		f.set("a/k", "1")
		hangs := func(ctx context.Context, c call) (*http.Response, error) {
			if c.query.Has("index") {
				return hang(ctx)
			}
			return nil, nil
		}
		f.scripted(hangs)
		w := watch("a/")
		wait(time.Second)
		f.scripted(nil)
		f.set("a/k", "2")
		wait(40 * time.Second)
		require.Equal(t, []string{"1"}, w.saw())
		wait(25 * time.Second)
		require.Equal(t, []string{"1", "2"}, w.saw())
	})
}

// TestNoHotLoop has servers whose answers never wait.
func TestNoHotLoop(t *testing.T) {
	for what, index := range map[string]func(at string) string{
		"no index":         func(string) string { return "" },
		"index 0":          func(string) string { return "0" },
		"the same index":   func(at string) string { return at },
		"ever less":        func(string) string { return fmt.Sprint(1 << 40 >> (time.Now().UnixMilli() % 40)) },
		"no number at all": func(string) string { return "-1" },
	} {
		t.Run(what, func(t *testing.T) {
			watching(t, consul.Options{}, func(t *testing.T, f *fake, watch func(string) *follower) {
				f.set("a/k", "1")
				f.on("GET /v1/kv/a/", func(ctx context.Context, c call) (*http.Response, error) {
					delete(c.query, "index")
					resp, err := f.serve(ctx, c)
					resp.Header.Set("X-Consul-Index", index(resp.Header.Get("X-Consul-Index")))
					return resp, err
				})
				key, tree := watch("a/k"), watch("a/")
				wait(time.Second)
				f.forget()
				wait(10 * time.Second)
				require.Less(t, f.count(""), 1000, "requests in 10 s")
				f.set("a/k", "2")
				wait(time.Second)
				require.Equal(t, []string{"1", "2"}, key.saw())
				require.Equal(t, []string{"1", "2"}, tree.saw())
			})
		})
	}
}

// TestErrorsPass: a watch outlives what goes wrong, without haste and without a
// long pause.
func TestErrorsPass(t *testing.T) {
	for what, breaks := range map[string]func(*fake){
		"refused":   (*fake).die,
		"frozen":    (*fake).freeze,
		"no leader": func(f *fake) { f.says(500, "No cluster leader") },
		"no slots":  func(f *fake) { f.says(429, "Your IP is issuing too many concurrent connections") },
		"no Consul": func(f *fake) { f.says(200, "<html>") },
		"no agent":  func(f *fake) { f.says(404, "default backend - 404") },
	} {
		t.Run(what, func(t *testing.T) {
			watching(t, consul.Options{}, func(t *testing.T, f *fake, watch func(string) *follower) {
				f.set("a/k", "1")
				key, tree := watch("a/k"), watch("a/")
				wait(time.Second)
				breaks(f)
				f.change(func() { f.restores++ }) // whoever waits is answered, and asks again
				wait(10 * time.Second)
				f.forget()
				wait(time.Minute)
				require.Less(t, f.count(""), 1000, "requests in a minute")
				f.scripted(nil)
				f.set("a/k", "2")
				wait(4 * time.Second)
				require.Equal(t, []string{"1", "2"}, key.saw())
				require.Equal(t, []string{"1", "2"}, tree.saw())
			})
		})
	}
}

// TestPathNotLetThrough: a proxy lets transactions through, and of the rest it
// says that there is no such thing. Nothing may look empty for that.
func TestPathNotLetThrough(t *testing.T) {
	watching(t, consul.Options{}, func(t *testing.T, f *fake, watch func(string) *follower) {
		f.set("a/k", "1")
		f.on("GET /v1/kv/", func(context.Context, call) (*http.Response, error) { return reply(404, "not found"), nil })
		key, tree := watch("a/k"), watch("a/")
		wait(time.Second)
		f.set("a/k", "2")
		wait(time.Second)
		require.Equal(t, []string{"1", "2"}, key.saw())
		require.Equal(t, []string{"1", "2"}, tree.saw())
		f.forget()
		wait(10 * time.Second)
		require.Less(t, f.count(""), 1000)
	})
}

// TestSlowServer: answers that take longer than a watch is patient at first come
// in the end.
func TestSlowServer(t *testing.T) {
	watching(t, consul.Options{}, func(t *testing.T, f *fake, watch func(string) *follower) {
		f.set("a/k", "1")
		f.scripted(func(ctx context.Context, c call) (*http.Response, error) {
			if c.what == leaderCall {
				return nil, nil
			}
			return nil, pause(ctx, 5*time.Second)
		})
		w := watch("a/")
		wait(40 * time.Second)
		require.Equal(t, []string{"1"}, w.saw())
		f.set("a/k", "2")
		wait(40 * time.Second)
		require.Equal(t, []string{"1", "2"}, w.saw())
	})
}

// TestQuieted: a subtree without a key would wake its watch at each write to the
// whole store, so it gets an index of its own.
func TestQuieted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		store := f.store(t, consul.Options{})
		w := follow(t.Context(), store, "a/")
		key := follow(t.Context(), store, "b")
		busy := func(d time.Duration) { // ten writes a second
			for end := time.Now().Add(d); time.Now().Before(end); {
				f.set("elsewhere", time.Now().String())
				time.Sleep(100 * time.Millisecond)
			}
			synctest.Wait()
		}
		busy(time.Second)
		quiets := func() (n int) {
			for _, c := range f.received(txnCall) {
				if len(c.query) == 0 {
					n++
				}
			}
			return n
		}
		require.Equal(t, 1, quiets())
		f.forget()
		busy(5 * time.Minute)
		require.Zero(t, quiets())
		require.Less(t, f.count("GET /v1/kv/a/"), 20, "it sleeps")
		require.Less(t, f.count("GET /v1/kv/b"), 5*60*10)

		f.reap() // what it was quieted by
		busy(time.Second)
		require.Equal(t, 1, quiets(), "it is quieted again")

		// The peace has its time: soon after, there are only pauses.
		f.reap()
		f.forget()
		busy(4 * time.Minute)
		require.Zero(t, quiets())
		require.Less(t, f.count("GET /v1/kv/a/"), 4*60*20)
		busy(2 * time.Minute)
		require.Equal(t, 1, quiets())

		f.set("a/k", "1")
		f.set("b", "1")
		wait(time.Second)
		require.Equal(t, []string{"-", "1"}, w.saw())
		require.Equal(t, []string{"-", "1"}, key.saw())
	})
}

// TestQuietingFails: it needs a right that a watch does not, and a server that
// answers.
func TestQuietingFails(t *testing.T) {
	for what, answer := range map[string]func(context.Context) (*http.Response, error){
		"denied": func(context.Context) (*http.Response, error) { return reply(403, "Permission denied"), nil },
		"hangs":  hang,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			store := f.store(t, consul.Options{})
			w := follow(t.Context(), store, "a/")
			wait(time.Second)
			f.on(txnCall, func(ctx context.Context, c call) (*http.Response, error) { return answer(ctx) })
			f.set("elsewhere", "1")
			wait(10 * time.Millisecond)
			f.set("a/k", "1")
			wait(2 * time.Second)
			require.Equal(t, []string{"-", "1"}, w.saw(), what)
			require.Equal(t, 1, f.count(txnCall)-1, "%s: it was tried once", what)
		})
	}
}
