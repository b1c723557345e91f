// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/session"
)

// Consul leaves out of its answers what a token may not see. Whoever queues
// and sees nobody takes the place, so that must never look like "nobody".

func consulHidden(t *testing.T, site *consulSite) {
	ctx := within(t, patience)
	for _, key := range []string{"hidden/there/a", "hidden/there/b", "hidden-not/a"} {
		_, err := site.admin.KV().Put(&api.KVPair{Key: key, Value: []byte("x")}, nil)
		require.NoError(t, err)
	}
	mine := consulRule("key_prefix", "hidden-not/", "write")
	for name, secret := range map[string]string{
		"other keys": site.token(t, mine).secret,
		"nothing":    site.token(t, consulNothing).secret,
		"no token":   "",
	} {
		t.Run(name, func(t *testing.T) {
			for _, name := range []string{"hidden/there/", "hidden/there/a", "hidden/nobody/", "hidden/nobody/a"} {
				store, _ := site.store(t, secret, consul.Options{MaxPolls: 1})
				denied(t, func() error { _, err := store.Read(ctx, name); return err }, name)
				denied(t, func() error {
					_, err := store.Commit(ctx, adapters.Tx{Reads: []string{"hidden-not/", name, "hidden-not/a"}})
					return err
				}, "hidden")

				// Two at once: the second shares queries.
				consulWatchDenied(t, store, name)
				ctx, cancel := context.WithCancel(ctx)
				first := make(chan struct{})
				go func() {
					defer close(first)
					for range store.Watch(ctx, "hidden-not/at-all") {
					}
				}()
				consulWatchDenied(t, store, name)
				cancel()
				<-first
			}
		})
	}

	t.Run("reads of a write", func(t *testing.T) {
		store, _ := site.store(t, site.token(t, mine).secret, consul.Options{})
		for _, name := range []string{"hidden/there/", "hidden/nobody/", "hidden/there/a", "hidden/nobody/a"} {
			denied(t, func() error {
				_, err := store.Commit(ctx, adapters.Tx{
					Then:  []adapters.Op{adapters.Delete("hidden-not/a")},
					Reads: []string{"hidden-not/", name, "hidden-not/a"},
				})
				require.ErrorIs(t, err, adapters.ErrUnknown, "it is written, but not to be taken for done")
				return err
			}, name)
		}
	})
}

// consulWatchDenied expects a watch to end before it shows anything.
func consulWatchDenied(t testing.TB, store adapters.Store, name string) {
	t.Helper()
	denied(t, func() error {
		for _, err := range store.Watch(within(t, patience), name) {
			return err
		}
		return nil
	}, "watch", name)
}

// consulHiddenAfterWrite queues where one may write slots and not see the others.
func consulHiddenAfterWrite(t *testing.T, site *consulSite) {
	holder := site.session(t, site.token(t, site.rules).secret, session.Options{})
	ctx := within(t, patience)
	hold, err := consulMutex(t, holder, "half-hidden", false).Lock(ctx)
	require.NoError(t, err)

	// The end of a subtree is a key that nobody can have; see readOps.
	blind := site.token(t, site.rules+consulRule("key", "quorate/mutex/half-hidden//", "deny"))
	s := site.session(t, blind.secret, session.Options{})
	m := consulMutex(t, s, "half-hidden", false)
	denied(t, func() error { _, err := m.Lock(ctx); return err }, "lock", `"quorate/mutex/half-hidden/"`)
	require.Eventually(t, func() bool {
		view, err := holder.Store().Read(ctx, "quorate/mutex/half-hidden/")
		require.NoError(t, err)
		return len(view.KVs) == 1
	}, patience, 10*time.Millisecond, "its slot does not stay")
	require.NoError(t, hold.Unlock())
}
