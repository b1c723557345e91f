// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/session"
)

// consulTellingNames uses keys whose names read like errors: Consul puts names
// into the texts of its own.
func consulTellingNames(t *testing.T, site *consulSite) {
	store, _ := site.store(t, site.token(t, site.rules).secret, consul.Options{})
	ctx := within(t, patience)
	for _, name := range []string{"Permission denied", "invalid session", "lock is already held", "ACL not found"} {
		tx := adapters.Tx{
			If:   []adapters.Cond{adapters.Absent("quorate/telling/" + name)},
			Then: []adapters.Op{adapters.Put("quorate/telling/"+name, []byte("x"))},
		}
		_, err := store.Commit(ctx, tx)
		require.NoError(t, err)
		_, err = store.Commit(ctx, tx)
		require.ErrorIs(t, err, adapters.ErrConflict)
		require.NotErrorIs(t, err, adapters.ErrDenied)
		require.NotErrorIs(t, err, adapters.ErrLeaseLost)
	}
}

// consulPassingDenial plays a server that cannot ask the primary datacenter,
// which knows the tokens. It denies everything until it can, so that is not the
// end of anything.
func consulPassingDenial(t *testing.T, site *consulSite) {
	const denial = "Permission denied: token with AccessorID 'primary-dc-down' lacks permission 'session:write' on \"quorate\""
	cfg := site.Config(0)
	cfg.Token = site.token(t, site.rules).secret
	store, sent := site.storeOn(t, cfg, consul.Options{})
	real := sent.RoundTripper
	sent.RoundTripper = consulTransport(func(req *http.Request) (*http.Response, error) {
		switch n := sent.calls(); { // this one included
		case n > 3:
			return real.RoundTrip(req)
		case n != 2:
			return consulAnswer(http.StatusForbidden, denial), nil
		}
		return consulAnswer(http.StatusConflict, `{"Errors":[{"OpIndex":0,"What":"`+strings.ReplaceAll(denial, `"`, `\"`)+`"}]}`), nil
	})
	ctx := within(t, patience)
	_, err := store.Grant(ctx, time.Second)
	require.ErrorContains(t, err, "primary-dc-down")
	require.NotErrorIs(t, err, adapters.ErrDenied)
	_, err = store.Commit(ctx, adapters.Tx{
		If:   []adapters.Cond{adapters.Absent("quorate/passing")},
		Then: []adapters.Op{adapters.Put("quorate/passing", nil)},
	})
	require.ErrorContains(t, err, "primary-dc-down")
	for _, wrong := range []error{adapters.ErrDenied, adapters.ErrUnknown, adapters.ErrInvalid} {
		require.NotErrorIs(t, err, wrong)
	}
	s, err := session.Open(ctx, store, &session.Options{TTL: long})
	require.NoError(t, err)
	require.Greater(t, sent.calls(), 3)
	require.NoError(t, s.Close())
}

type consulTransport func(*http.Request) (*http.Response, error)

func (f consulTransport) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func consulAnswer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// consulWrongWayFirst has two ways, of which the first cannot work. Calls must
// move on to the second, also if the first answers that the request is wrong.
func consulWrongWayFirst(t *testing.T, site *consulSite) {
	secret := site.token(t, site.rules).secret
	for name, wrong := range map[string]func(*api.Config){
		"http":           func(cfg *api.Config) { cfg.Address = strings.TrimPrefix(cfg.Address, "https://") },
		"no certificate": func(cfg *api.Config) { cfg.TLSConfig.CertFile, cfg.TLSConfig.KeyFile = "", "" },
		"no authority":   func(cfg *api.Config) { cfg.TLSConfig.CAFile = "" },
	} {
		t.Run(name, func(t *testing.T) {
			right := site.Config(1)
			right.Token = secret
			second, err := api.NewClient(right)
			require.NoError(t, err)
			t.Cleanup(right.Transport.CloseIdleConnections)
			cfg := site.Config(0)
			cfg.Token = secret
			wrong(cfg)
			store, _ := site.storeOn(t, cfg, consul.Options{Failover: []*api.Client{second}})
			s, err := session.Open(within(t, patience), store, &session.Options{TTL: long})
			require.NoError(t, err)
			require.NoError(t, s.Close())
		})
	}
}
