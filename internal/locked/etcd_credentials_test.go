// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/session"
)

// etcdWrongCredentials: what TLS refuses cannot be told from a server that is
// away but by its words, so it is tried until the context ends. What etcd
// refuses is final.
func etcdWrongCredentials(t *testing.T, site *etcdSite) {
	u, strangers := site.user(t, ""), servers.NewAuthority(t)
	for name, c := range map[string]struct {
		change func(*clientv3.Config)
		want   string
	}{
		"no certificate": {func(c *clientv3.Config) { c.TLS.Certificates = nil }, "tls"},
		"certificate of another authority": {func(c *clientv3.Config) {
			c.TLS = strangers.ClientTLS(t, u.name)
			c.TLS.RootCAs = site.Authority().Pool()
		}, "tls"},
		"server of another authority": {func(c *clientv3.Config) { c.TLS.RootCAs = strangers.Pool() }, "tls: failed to verify certificate: x509"},
		"no TLS": {func(c *clientv3.Config) {
			c.TLS, c.Endpoints = nil, []string{site.Member(0).Endpoint()[len("https://"):]}
		}, "tls"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, _ := u.config(t)
			c.change(&cfg)
			store := etcdStore(t, cfg)
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			_, err := session.Open(ctx, store, &session.Options{Prefix: u.prefix, TTL: long})
			late := time.Now()
			deadline, _ := ctx.Deadline()
			require.Less(t, late.Sub(deadline), time.Second)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NotErrorIs(t, err, adapters.ErrDenied)
			require.ErrorContains(t, err, "no connection to etcd")
			require.Contains(t, strings.ToLower(err.Error()), c.want)
		})
	}

	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		u := site.user(t, "secret")
		cfg, _ := u.config(t)
		store := etcdStore(t, cfg)
		_, err := site.root.UserChangePassword(within(t, patience), u.name, "another")
		require.NoError(t, err)
		open := func() error {
			_, err := session.Open(within(t, patience), store, &session.Options{Prefix: u.prefix, TTL: long})
			return err
		}
		denied(t, open, `user "`+u.name+`" cannot log in: its name or its password is wrong`)
		_, err = clientv3.New(cfg)
		require.ErrorIs(t, err, rpctypes.ErrAuthFailed, "the client itself sees to it at its start")
		_, err = site.root.UserDelete(within(t, patience), u.name)
		require.NoError(t, err)
		denied(t, open, "cannot log in")
	})
}
