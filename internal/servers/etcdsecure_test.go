// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package servers_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

func TestSecureMembers(t *testing.T) {
	e := servers.StartEtcdWith(t, 3, &servers.Options{
		Heartbeat: 30 * time.Millisecond, Election: 300 * time.Millisecond,
		TLS: true, AuthTokenTTL: time.Second,
	})
	ctx := within(t, 60*time.Second)
	require.NoError(t, e.EnableAuth(ctx))
	root := e.Client(t)
	_, err := root.Put(ctx, "a", "1")
	require.NoError(t, err, "our clients are root's")
	_, err = root.UserAdd(ctx, "worker", "secret")
	require.NoError(t, err)
	old, err := e.Leader(ctx)
	require.NoError(t, err)
	_, err = e.Compact(ctx)
	require.NoError(t, err)

	e.Member(old).Kill()
	_, err = e.Leader(ctx)
	require.NoError(t, err)
	e.Member(old).Restart()
	require.NoError(t, e.Ready(ctx), "with the data of before, authentication among them")
	e.Member(old).Terminate()
	e.Member(old).Restart()
	require.NoError(t, e.Ready(ctx))

	client := func(name string, a *servers.Authority, user string) *clientv3.Client {
		cfg := clientv3.Config{Endpoints: []string{e.Member(old).Endpoint()}, TLS: a.ClientTLS(t, name), Logger: zap.NewNop()}
		if user != "" {
			cfg.Username, cfg.Password = user, "secret"
		}
		c, err := clientv3.New(cfg)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	_, err = client("stranger", e.Authority(), "").Put(ctx, "a", "2")
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	_, err = client("root", servers.NewAuthority(t), "").Put(within(t, time.Second), "a", "2")
	require.Error(t, err, "nobody but our authority makes a root")

	// A token ends a second after it was used last.
	first := client("stranger", e.Authority(), "worker")
	token, err := first.Authenticate(ctx, "worker", "secret")
	require.NoError(t, err)
	byToken, err := clientv3.New(clientv3.Config{
		Endpoints: e.Endpoints(), TLS: e.Authority().ClientTLS(t, "stranger"), Token: token.Token, Logger: zap.NewNop(),
	})
	require.NoError(t, err)
	defer byToken.Close()
	_, err = byToken.UserGet(ctx, "worker")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := byToken.UserGet(ctx, "worker")
		return err != nil
	}, 10*time.Second, 2500*time.Millisecond)
	_, err = byToken.UserGet(ctx, "worker")
	require.ErrorIs(t, err, rpctypes.ErrInvalidAuthToken)
}
