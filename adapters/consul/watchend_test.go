// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/stretchr/testify/require"
)

// TestWatchMoves: a query that waits at a server that nothing will come from is
// made anew, in one and a half times ProbeEvery.
func TestWatchMoves(t *testing.T) {
	const every = 3 * time.Second
	waits := func(c call) bool { return c.query.Has("index") }
	for what, c := range map[string]struct {
		breaks func(a *fake) // what is asked of a from now on
		mends  func(a *fake)
	}{
		"another server leads": {
			func(a *fake) {
				a.scripted(func(ctx context.Context, c call) (*http.Response, error) {
					if waits(c) {
						return hang(ctx)
					}
					return nil, nil
				})
			},
			func(a *fake) {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.leader, a.script = "127.0.0.2:8300", nil
			},
		},
		"the agent comes back": {(*fake).freeze, func(a *fake) { a.scripted(nil) }},
	} {
		t.Run(what, func(t *testing.T) {
			watching(t, consul.Options{ProbeEvery: every}, func(t *testing.T, a *fake, watch func(string) *follower) {
				a.set("a/k", "1")
				w := watch("a/")
				wait(time.Second)
				c.breaks(a)
				a.muffle("a/k", "2")
				wait(5 * time.Second)
				require.Equal(t, []string{"1"}, w.saw())
				c.mends(a)
				wait(every + every/2)
				require.Equal(t, []string{"1", "2"}, w.saw())
			})
		})
	}
}

// TestWatchFailover: with another agent the watch goes on there.
func TestWatchFailover(t *testing.T) {
	for what, breaks := range map[string]func(*fake){
		"frozen":    (*fake).freeze,
		"refused":   (*fake).die,
		"no agent":  func(a *fake) { a.says(404, "default backend - 404") },
		"no leader": func(a *fake) { a.says(500, "No cluster leader") },
	} {
		for kind, prepare := range kinds {
			synctest.Test(t, func(t *testing.T) {
				a, b := twins()
				a.set("a/k", "1")
				store := a.store(t, consul.Options{MaxPolls: 1}, b)
				prepare(t.Context(), t, store)
				w := follow(t.Context(), store, "a/")
				wait(time.Second)
				breaks(a)
				a.muffle("a/k", "2")
				wait(4500 * time.Millisecond)
				require.Equal(t, []string{"1", "2"}, w.saw(), "%s, %s", what, kind)
			})
		}
	}
}

// TestWatchFailoverAtOnce: whoever is refused does not wait for the next probe.
func TestWatchFailoverAtOnce(t *testing.T) {
	for kind, prepare := range kinds {
		synctest.Test(t, func(t *testing.T) {
			a, b := twins()
			a.set("a/k", "1")
			store := a.store(t, consul.Options{MaxPolls: 1, ProbeEvery: time.Hour}, b)
			prepare(t.Context(), t, store)
			w := follow(t.Context(), store, "a/")
			wait(time.Second)
			a.die()
			a.change(func() { a.restores++ }) // what is under way ends
			a.set("a/k", "2")
			wait(time.Second)
			saw := w.saw()
			require.Equal(t, "2", saw[len(saw)-1], kind)
			b.forget()
			a.set("a/k", "3")
			wait(time.Second)
			saw = w.saw()
			require.Equal(t, "3", saw[len(saw)-1], kind)
			require.NotZero(t, b.count("GET /v1/kv/"))
		})
	}
}

// TestProbes: however many watch, one small request goes out in ProbeEvery, and
// none when nobody does.
func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set("a/k", "1")
		store := f.store(t, consul.Options{MaxPolls: 10})
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 30 {
			follow(ctx, store, fmt.Sprintf("a/%d", i))
		}
		wait(time.Second)
		f.forget()
		wait(15 * time.Second)
		require.Equal(t, 5, f.count(leaderCall))
		require.Equal(t, 5, f.count(""), "nothing else happens")

		// While nobody leads, or the same server again, nobody moves.
		for _, leader := range []string{"", "127.0.0.1:8300", ""} {
			f.change(func() { f.leader = leader })
			wait(4 * time.Second)
		}
		require.Equal(t, 9, f.count(leaderCall))
		require.Equal(t, 9, f.count(""))

		cancel()
		synctest.Wait()
		f.forget()
		wait(time.Minute)
		require.Zero(t, f.count(""))

		follow(t.Context(), store, "a/k")
		wait(10 * time.Second)
		require.Equal(t, 4, f.count(leaderCall), "somebody watches again")
	})
}

// TestWatchEnds: with its context, at once, and with the cause, whatever the
// servers do; with its reader; and with nothing left behind.
func TestWatchEnds(t *testing.T) {
	for what, breaks := range map[string]func(*fake){
		"":        func(*fake) {},
		"frozen":  (*fake).freeze,
		"refused": (*fake).die,
		"quiet": func(f *fake) {
			f.on(txnCall, func(ctx context.Context, _ call) (*http.Response, error) { return hang(ctx) })
		},
	} {
		for kind, prepare := range kinds {
			for _, before := range []bool{true, false} { // the watch has begun
				synctest.Test(t, func(t *testing.T) {
					f := newFake()
					store := f.store(t, consul.Options{MaxPolls: 1})
					prepare(t.Context(), t, store)
					if before {
						breaks(f)
					}
					ctx, cancel := context.WithCancelCause(t.Context())
					var watches []*follower
					for _, name := range []string{"a/k", "a/", "a/", "b/k"} {
						watches = append(watches, follow(ctx, store, name))
					}
					wait(5 * time.Second)
					breaks(f)
					f.change(func() { f.restores++ })
					wait(5 * time.Second)
					reason := errors.New("reason")
					cancel(reason)
					synctest.Wait() // no time passes
					for _, w := range watches {
						err, ended := w.end()
						require.True(t, ended, "%s %s", kind, what)
						require.ErrorIs(t, err, reason)
					}
				})
			}
		}
	}
}

func TestReaderLeaves(t *testing.T) {
	for kind, prepare := range kinds {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			store := f.store(t, consul.Options{MaxPolls: 1})
			ctx, cancel := context.WithCancel(t.Context())
			prepare(ctx, t, store)
			for _, err := range store.Watch(t.Context(), "a/") {
				require.NoError(t, err)
				break
			}
			cancel()
			synctest.Wait()
			f.forget()
			f.set("a/k", "1")
			wait(time.Minute)
			require.Zero(t, f.count(""), kind)
		})
	}
}

// TestDeniedWatch: what the token may not see ends a watch, at its beginning and
// later, and is never shown as if it were not there.
func TestDeniedWatch(t *testing.T) {
	secret := func(key string) bool { return strings.HasPrefix(key, "a/") }
	watching(t, consul.Options{}, func(t *testing.T, f *fake, watch func(string) *follower) {
		f.set("a/k", "1")
		f.hide(secret)
		var watches []*follower
		for _, name := range []string{"a/k", "a/none", "a/", "a/none/"} {
			watches = append(watches, watch(name))
		}
		wait(time.Second)
		for _, w := range watches {
			err, ended := w.end()
			require.True(t, ended)
			require.ErrorIs(t, err, adapters.ErrDenied)
			require.Empty(t, w.saw())
		}

		f.hide(func(string) bool { return false })
		key, tree := watch("a/k"), watch("a/")
		wait(time.Second)
		f.hide(secret)
		f.set("a/k", "2")
		wait(time.Second)
		for _, w := range []*follower{key, tree} {
			err, ended := w.end()
			require.True(t, ended)
			require.ErrorIs(t, err, adapters.ErrDenied)
			require.Equal(t, []string{"1"}, w.saw())
		}
	})
}

// TestTokenDeleted: a token that is no more ends every watch.
func TestTokenDeleted(t *testing.T) {
	watching(t, consul.Options{}, func(t *testing.T, f *fake, watch func(string) *follower) {
		f.set("a/k", "1")
		watches := []*follower{watch("a/k"), watch("a/"), watch("b/")}
		wait(time.Second)
		f.says(403, "rpc error making call: ACL not found")
		f.change(func() { f.restores++ })
		wait(2 * time.Second)
		for _, w := range watches {
			err, ended := w.end()
			require.True(t, ended)
			require.ErrorIs(t, err, adapters.ErrDenied)
		}
	})
}

// TestFilteredPart: some keys in it are not to be seen, which is no reason to
// show nothing.
func TestFilteredPart(t *testing.T) {
	watching(t, consul.Options{}, func(t *testing.T, f *fake, watch func(string) *follower) {
		f.hide(func(key string) bool { return key == "a/secret" })
		f.set("a/secret", "s")
		w := watch("a/")
		wait(time.Second)
		f.set("a/k", "1")
		wait(time.Second)
		f.set("a/secret", "t")
		wait(time.Second)
		require.Equal(t, []string{"-", "1"}, w.saw())
		require.GreaterOrEqual(t, f.count(txnCall), 3, "what is left out leads to a look")
	})
}
