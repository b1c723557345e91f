// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/session"
)

// TestConsul is everything about Consul, on one server and one client agent
// that deny what no token allows, and want HTTPS and a certificate.
func TestConsul(t *testing.T) {
	site := startConsul(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *consulSite)
	}{
		{"contract", consulContract},
		{"lock", consulLock},
		{"election", consulElection},
		{"open without a right", consulOpenWithout},
		{"work without a right", consulWorkWithout},
		{"name outside the policy", consulVerbatimOutside},
		{"hidden is not empty", consulHidden},
		{"hidden after a write", consulHiddenAfterWrite},
		{"right withdrawn from a holder", consulHolderWithdrawn},
		{"right withdrawn from a waiter", consulWaiterWithdrawn},
		{"right withdrawn from an observer", consulObserverWithdrawn},
		{"right to keys withdrawn from a holder", consulKeysWithdrawn},
		{"right withdrawn for a moment", consulWithdrawnBriefly},
		{"not more than it needs", consulLeastPrivilege},
		{"leases of others", consulSharedNode},
		{"wrong credentials", consulWrongCredentials},
		{"wrong way first", consulWrongWayFirst},
		{"dead link", consulDeadLink},
		{"denial that passes", consulPassingDenial},
		{"names that read like errors", consulTellingNames},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			part.run(t, site)
		})
	}
}

// consulSite is a Consul that is locked down.
type consulSite struct {
	*servers.Consul
	rules  string // of deploy/consul/policy.hcl
	admin  *api.Client
	opened atomic.Int64
	tokens atomic.Int64
}

func startConsul(t *testing.T) *consulSite {
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true, Clients: 1, ACL: true, TLS: true})
	rules, err := os.ReadFile("../../deploy/consul/policy.hcl")
	require.NoError(t, err)
	return &consulSite{Consul: c, rules: string(rules), admin: c.Client(t, 0)}
}

// consulSwap replaces what has to be in rules exactly once.
func consulSwap(t testing.TB, rules, old, replacement string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(rules, old), "%q in\n%s", old, rules)
	return strings.Replace(rules, old, replacement, 1)
}

// consulRule is a rule as it stands in the policy.
func consulRule(kind, name, policy string) string {
	return fmt.Sprintf("%s %q {\n  policy = %q\n}\n", kind, name, policy)
}

// A consulToken is a token with one policy.
type consulToken struct {
	t        testing.TB
	site     *consulSite
	policy   *api.ACLPolicy
	accessor string
	secret   string
}

func (s *consulSite) token(t testing.TB, rules string) *consulToken {
	t.Helper()
	policy, _, err := s.admin.ACL().PolicyCreate(&api.ACLPolicy{Name: fmt.Sprint("test-", s.tokens.Add(1)), Rules: rules}, nil)
	require.NoError(t, err)
	token, _, err := s.admin.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
	require.NoError(t, err)
	return &consulToken{t: t, site: s, policy: policy, accessor: token.AccessorID, secret: token.SecretID}
}

// allow replaces what the token may do.
func (k *consulToken) allow(rules string) {
	k.t.Helper()
	_, _, err := k.site.admin.ACL().PolicyUpdate(&api.ACLPolicy{ID: k.policy.ID, Name: k.policy.Name, Rules: rules}, nil)
	require.NoError(k.t, err)
}

// withdraw takes the token's policy away.
func (k *consulToken) withdraw() {
	k.t.Helper()
	_, _, err := k.site.admin.ACL().TokenUpdate(&api.ACLToken{AccessorID: k.accessor}, nil)
	require.NoError(k.t, err)
}

// giveBack undoes withdraw.
func (k *consulToken) giveBack() {
	k.t.Helper()
	_, _, err := k.site.admin.ACL().TokenUpdate(&api.ACLToken{AccessorID: k.accessor, Policies: []*api.ACLLink{{ID: k.policy.ID}}}, nil)
	require.NoError(k.t, err)
}

// remove makes the token unknown.
func (k *consulToken) remove() {
	k.t.Helper()
	_, err := k.site.admin.ACL().TokenDelete(k.accessor, nil)
	require.NoError(k.t, err)
}

// store opens a store on a client of its own, as another process would, of the
// server and of the client agent in turn. The second is what it has sent.
func (s *consulSite) store(t testing.TB, secret string, o consul.Options) (*consul.Store, *consulRequests) {
	t.Helper()
	cfg := s.Config(int(s.opened.Add(1)) % len(s.Members()))
	cfg.Token = secret
	return s.storeOn(t, cfg, o)
}

func (s *consulSite) storeOn(t testing.TB, cfg *api.Config, o consul.Options) (*consul.Store, *consulRequests) {
	t.Helper()
	// NewClient leaves the TLS settings out if it gets a client.
	client, err := api.NewHttpClient(cfg.Transport, cfg.TLSConfig)
	require.NoError(t, err)
	t.Cleanup(cfg.Transport.CloseIdleConnections)
	sent := &consulRequests{RoundTripper: client.Transport}
	client.Transport = sent
	cfg.HttpClient = client
	c, err := api.NewClient(cfg)
	require.NoError(t, err)
	if o.MinTTL == 0 {
		o.MinTTL = 100 * time.Millisecond
	}
	store, err := consul.New(c, &o)
	require.NoError(t, err)
	return store, sent
}

// consulRequests counts what a client sends.
type consulRequests struct {
	http.RoundTripper
	sent atomic.Int64
}

func (r *consulRequests) RoundTrip(req *http.Request) (*http.Response, error) {
	r.sent.Add(1)
	return r.RoundTripper.RoundTrip(req)
}

func (r *consulRequests) calls() int { return int(r.sent.Load()) }

// session opens a session as another process would, and closes it at the end.
func (s *consulSite) session(t testing.TB, secret string, o session.Options) *session.Session {
	t.Helper()
	store, _ := s.store(t, secret, consul.Options{})
	if o.TTL == 0 {
		o.TTL = long
	}
	sess, err := session.Open(within(t, patience), store, &o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, sess.Close()) })
	return sess
}
