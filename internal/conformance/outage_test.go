// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/etcd"
	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

func create(key string) adapters.Tx {
	return adapters.Tx{If: []adapters.Cond{adapters.Absent(key)}, Then: []adapters.Op{adapters.Put(key, nil)}}
}

// putAround writes past a member that may hang: a plain put, repeated.
func putAround(t *testing.T, client *clientv3.Client, key, value string) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	for {
		try, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		_, err := client.Put(try, key, value)
		cancel()
		if err == nil {
			return
		}
		require.NoError(t, ctx.Err(), "the cluster takes no write: %v", err)
	}
}

// contexts are the ways in which a context can end after a while.
var contexts = map[string]func(context.Context, time.Duration) (ctx context.Context, cause error, cancel func()){
	"deadline": func(ctx context.Context, d time.Duration) (context.Context, error, func()) {
		ctx, cancel := context.WithTimeout(ctx, d)
		return ctx, context.DeadlineExceeded, cancel
	},
	"deadline with a cause": func(ctx context.Context, d time.Duration) (context.Context, error, func()) {
		reason := errors.New("reason")
		ctx, cancel := context.WithTimeoutCause(ctx, d, reason)
		return ctx, reason, cancel
	},
	"canceled with a cause": func(ctx context.Context, d time.Duration) (context.Context, error, func()) {
		reason := errors.New("reason")
		ctx, cancel := context.WithCancelCause(ctx)
		timer := time.AfterFunc(d, func() { cancel(reason) })
		return ctx, reason, func() { timer.Stop(); cancel(nil) }
	},
}

// TestCallsEndWithContext: absent or mute, a server does not hold a call longer
// than its context lasts, and the caller sees its own reason.
func TestCallsEndWithContext(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"swallowed", "cut", "killed"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			callsEnd(t, state)
		})
	}
}

func callsEnd(t *testing.T, state string) {
	cluster := servers.StartEtcd(t, 1)
	l := proxy(t, cluster.Endpoints()[0])
	store, _, _ := open(t, []string{l.addr}, &etcd.Options{ProbeEvery: etcd.MinProbeEvery})
	lease, err := store.Grant(t.Context(), time.Second)
	require.NoError(t, err)
	switch state {
	case "swallowed":
		l.swallow(true)
	case "cut":
		l.cut(true)
	case "killed":
		cluster.Member(0).Kill()
	}
	for _, c := range []struct {
		what    string
		unknown bool
		call    func(context.Context) error
	}{
		{"commit", true, func(ctx context.Context) error { _, err := store.Commit(ctx, create("k")); return err }},
		{"commit that reads", false, func(ctx context.Context) error {
			_, err := store.Commit(ctx, adapters.Tx{Reads: []string{"k"}})
			return err
		}},
		{"read", false, func(ctx context.Context) error { _, err := store.Read(ctx, "k"); return err }},
		{"watch", false, func(ctx context.Context) error {
			var errs []error
			for _, err := range store.Watch(ctx, "k") {
				errs = append(errs, err)
			}
			require.Len(t, errs, 1)
			return errs[0]
		}},
		{"grant", true, func(ctx context.Context) error { _, err := store.Grant(ctx, time.Second); return err }},
		{"renew", false, func(ctx context.Context) error { _, err := store.Renew(ctx, lease.ID); return err }},
		{"revoke", true, func(ctx context.Context) error { return store.Revoke(ctx, lease.ID) }},
	} {
		for how, patient := range contexts {
			ctx, want, cancel := patient(t.Context(), 300*time.Millisecond)
			began := time.Now()
			err := c.call(ctx)
			took := time.Since(began)
			require.Equal(t, c.unknown, errors.Is(err, adapters.ErrUnknown), "%s, %s, %s: %v", state, c.what, how, err)
			require.Less(t, took, 300*time.Millisecond+time.Second, "%s, %s, %s", state, c.what, how)
			// A connection that breaks under a call is an answer too.
			if ctx.Err() == nil {
				require.Error(t, err)
				require.NotEqual(t, "swallowed", state)
			} else {
				require.ErrorIs(t, err, want, "%s, %s, %s", state, c.what, how)
			}
			cancel()
		}
	}
	l.swallow(false)
}

// TestCommitDuringKill kills the server under a stream of commits. What was
// reported must be true: nil and ErrUnknown may be there, the rest may not.
func TestCommitDuringKill(t *testing.T) {
	t.Parallel()
	cluster := servers.StartEtcd(t, 1)
	store, _, _ := open(t, cluster.Endpoints(), nil)
	reported := make(map[string]error)
	unknown := 0
	for round := range 3 {
		time.AfterFunc(50*time.Millisecond, cluster.Member(0).Kill)
		for i := 0; ; i++ {
			key := fmt.Sprintf("c/%d/%d", round, i)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			_, err := store.Commit(ctx, create(key))
			cancel()
			reported[key] = err
			if err != nil {
				require.ErrorIs(t, err, adapters.ErrUnknown)
				unknown++
				break
			}
		}
		cluster.Member(0).Restart()
		require.NoError(t, cluster.Ready(within(t, 30*time.Second)))
	}
	view, err := store.Read(within(t, 10*time.Second), "c/")
	require.NoError(t, err)
	for key, err := range reported {
		_, there := view.Get(key)
		require.True(t, there || err != nil, "%s was committed and is not there", key)
	}
	require.Equal(t, 3, unknown)
	t.Logf("%d commits, %d of them with an unknown outcome", len(reported), unknown)
}

// TestRenewLeavesFrozenMember: renewals with a deadline of their own find a
// member that answers; a lease of 2 s lives through any one member's freeze.
func TestRenewLeavesFrozenMember(t *testing.T) {
	t.Parallel()
	cluster := servers.StartEtcdWith(t, 3, calm)
	store, _, _ := open(t, cluster.Endpoints(), nil)
	met := 0
	for i, m := range cluster.Members() {
		// A new one each time: a leader that wakes may end leases of before.
		lease, err := store.Grant(t.Context(), 2*time.Second)
		require.NoError(t, err)
		m.Stop()
		worst, streak, ok := 0, 0, 0
		for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			_, err := store.Renew(ctx, lease.ID)
			cancel()
			require.NotErrorIs(t, err, adapters.ErrLeaseLost)
			if err != nil {
				streak++
				worst = max(worst, streak)
				continue
			}
			streak = 0
			ok++
			time.Sleep(50 * time.Millisecond) // sleep: the pace of renewals
		}
		t.Logf("member %d frozen: %d renewals, at most %d failures in a row", i, ok, worst)
		met += worst
		m.Cont()
		require.NoError(t, cluster.Ready(within(t, 20*time.Second)))
		require.NoError(t, store.Revoke(t.Context(), lease.ID))
	}
	// Not each time: a client connects to some members late.
	require.Positive(t, met, "no renewal has met a frozen member")
}

// TestAuth: a right that lacks is final for every call; a token that the
// server has forgotten is not, also for a watch that is open.
func TestAuth(t *testing.T) {
	cluster := servers.StartEtcd(t, 1)
	admin := cluster.Client(t)
	ctx := within(t, time.Minute)
	must := func(_ any, err error) { t.Helper(); require.NoError(t, err) }
	must(admin.UserAdd(ctx, "root", "pw"))
	must(admin.UserGrantRole(ctx, "root", "root"))
	must(admin.UserAdd(ctx, "app", "pw"))
	must(admin.RoleAdd(ctx, "app"))
	must(admin.RoleGrantPermission(ctx, "app", "app/", clientv3.GetPrefixRangeEnd("app/"), clientv3.PermissionType(clientv3.PermReadWrite)))
	must(admin.UserGrantRole(ctx, "app", "app"))
	must(admin.AuthEnable(ctx))

	login := func(user, password string) *etcd.Store {
		client, err := clientv3.New(clientv3.Config{Endpoints: cluster.Endpoints(), Username: user, Password: password, Logger: zap.NewNop()})
		require.NoError(t, err)
		t.Cleanup(func() { _ = client.Close() })
		store, err := etcd.New(client, nil)
		require.NoError(t, err)
		return store
	}
	app, nobody := login("app", "pw"), login("", "")
	for name, store := range map[string]*etcd.Store{"other/k": app, "app/k": nobody} {
		_, err := store.Read(ctx, name)
		require.ErrorIs(t, err, adapters.ErrDenied)
		_, err = store.Commit(ctx, create(name))
		require.ErrorIs(t, err, adapters.ErrDenied)
		require.NotErrorIs(t, err, adapters.ErrUnknown)
		yielded := 0
		for _, err := range store.Watch(ctx, name) {
			yielded++
			require.ErrorIs(t, err, adapters.ErrDenied)
		}
		require.Equal(t, 1, yielded)
	}

	watching, stop := context.WithCancel(t.Context())
	ch := follow(watching, app, "app/")
	defer func() { stop(); drain(ch) }()
	_, err := app.Commit(ctx, create("app/1"))
	require.NoError(t, err)
	first := until(t, ch, 10*time.Second, "app/2", "")
	require.NoError(t, first.err)

	// Simple tokens live in the server's memory; this makes it forget them.
	root, err := clientv3.New(clientv3.Config{Endpoints: cluster.Endpoints(), Username: "root", Password: "pw", Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = root.Close() })
	must(root.AuthDisable(ctx))
	must(admin.AuthEnable(ctx))
	_, err = app.Commit(ctx, adapters.Tx{
		If:   []adapters.Cond{adapters.Absent("app/2")},
		Then: []adapters.Op{adapters.Put("app/2", []byte("x"))},
	})
	require.NoError(t, err)
	until(t, ch, 10*time.Second, "app/2", "x")
	// A watch that starts now gets along with the stream that is open.
	second := follow(watching, app, "app/2")
	until(t, second, 10*time.Second, "app/2", "x")
	stop()
	drain(second)
}
