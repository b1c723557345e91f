// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/session"
)

// consulWrongCredentials opens sessions over links that cannot work. That may
// be mended from the other side, so it is tried until the context ends; then it
// says what was wrong.
func consulWrongCredentials(t *testing.T, site *consulSite) {
	stranger := servers.NewAuthority(t)
	const lost = "perhaps the agent refused the client's certificate"
	for _, c := range []struct {
		name  string
		wrong func(*api.Config)
		words []string // one of them in each error, and the first one sooner or later
	}{
		{"no certificate", func(cfg *api.Config) {
			cfg.TLSConfig.CertFile, cfg.TLSConfig.KeyFile = "", ""
		}, []string{"tls: certificate required", lost}},
		{"certificate of another authority", func(cfg *api.Config) {
			cfg.TLSConfig.CertFile, cfg.TLSConfig.KeyFile = stranger.Issue(t, "client")
		}, []string{"tls: unknown certificate authority", lost}},
		{"server of another authority", func(cfg *api.Config) {
			cfg.TLSConfig.CAFile = stranger.CAFile()
		}, []string{"x509: certificate signed by unknown authority"}},
		{"no authority", func(cfg *api.Config) {
			cfg.TLSConfig.CAFile = ""
		}, []string{"x509: certificate signed by unknown authority"}},
		{"http", func(cfg *api.Config) {
			cfg.Address = strings.TrimPrefix(cfg.Address, "https://")
		}, []string{"Client sent an HTTP request to an HTTPS server"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range site.Members() {
				cfg := site.Config(i)
				c.wrong(cfg)
				store, _ := site.storeOn(t, cfg, consul.Options{})
				enough := errors.New("enough")
				ctx, cancel := context.WithCancelCause(within(t, patience))
				tries := &consulTries{Store: store, seen: func(n int, err error) {
					require.True(t, slices.ContainsFunc(c.words, func(w string) bool { return strings.Contains(err.Error(), w) }), "%v", err)
					if n >= 3 && strings.Contains(err.Error(), c.words[0]) {
						cancel(enough)
					}
				}}
				_, err := session.Open(ctx, tries, &session.Options{TTL: time.Second})
				require.ErrorIs(t, err, enough)
				require.ErrorContains(t, err, c.words[0])
				require.NotErrorIs(t, err, adapters.ErrDenied)

				// A write is known not to have been done, unless it is not known
				// that it was the certificate.
				_, err = store.Commit(within(t, patience), adapters.Tx{
					If:   []adapters.Cond{adapters.Absent("quorate/tls")},
					Then: []adapters.Op{adapters.Put("quorate/tls", []byte("x"))},
				})
				require.Error(t, err)
				require.Equal(t, strings.Contains(err.Error(), lost), errors.Is(err, adapters.ErrUnknown), "%v", err)
			}
		})
	}
}

// consulTries tells of leases that were not granted.
type consulTries struct {
	adapters.Store
	n    int
	seen func(n int, err error)
}

func (s *consulTries) Grant(ctx context.Context, ttl time.Duration) (adapters.Lease, error) {
	lease, err := s.Store.Grant(ctx, ttl)
	s.n++
	s.seen(s.n, err)
	return lease, err
}
