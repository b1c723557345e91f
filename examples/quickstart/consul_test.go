// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
)

// cleanConsul checks that nothing of a run is left on a Consul.
func cleanConsul(t *testing.T, c *api.Client) {
	t.Helper()
	keys, _, err := c.KV().Keys("quickstart", "", nil)
	require.NoError(t, err)
	require.Empty(t, keys)
	nodes, _, err := c.Catalog().Nodes(nil)
	require.NoError(t, err)
	for _, n := range nodes {
		require.NotContains(t, n.Node, "quickstart")
	}
	sessions, _, err := c.Session().List(nil)
	require.NoError(t, err)
	require.Empty(t, sessions)
}

// TestConsul runs on Consuls that grant shorter leases than most, which end
// after 4 s. Each part has one of its own, to find nothing on it in the end.
func TestConsul(t *testing.T) {
	t.Parallel()
	t.Run("all of it", func(t *testing.T) {
		t.Parallel()
		c := servers.StartConsul(t, 1)
		endpoint := c.Endpoints()[0]
		s := playAs(t, nil, "-consul", endpoint, "-ttl", "2s")
		s.ends(60*time.Second, exitOK)
		require.Regexp(t, allGood, s.output())
		require.Len(t, s.pids(), 3)
		for _, part := range []string{" consul    yours, at " + endpoint + " (from -consul)",
			"a lease lasts 2s here (asked for: 2s), so the places of a dead process stay\n" +
				strings.Repeat(" ", 20) + "taken for up to 5s. That happens twice; the whole run takes about 17 s",
			"SIGKILL to ", "SIGSTOP to ", "SIGCONT to ", "its write is refused", "its next Check fails", "its context has ended", "no key was left"} {
			require.Contains(t, s.output(), part)
		}
		require.Equal(t, 3, strings.Count(s.output(), ": nobody led for "))
		for line := range strings.Lines(s.output()) {
			require.LessOrEqual(t, len(line), 110, line)
		}
		cleanConsul(t, c.Client(t, 0))
	})
	t.Run("without the fence", func(t *testing.T) {
		t.Parallel()
		c := servers.StartConsul(t, 1)
		s := playAs(t, nil, "-consul", strings.TrimPrefix(c.Endpoints()[0], "http://"), "-ttl", "1s", "-no-fence")
		s.ends(60*time.Second, exitFailed)
		require.Regexp(t, `\nVERDICT: FAILED - .*a late write of w\d to the schedule was accepted .*no late write of w\d was refused\n$`, s.output())
		cleanConsul(t, c.Client(t, 0))
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		c := servers.StartConsul(t, 1)
		for _, moment := range []string{"workers", "SIGSTOP to "} {
			s := playAs(t, map[string]string{"CONSUL_HTTP_ADDR": c.Endpoints()[0]}, "-consul", "env", "-ttl", "1s")
			s.sees(moment)
			require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
			s.ends(5*time.Second, 128+int(syscall.SIGINT))
			require.Contains(t, s.output(), "(from CONSUL_HTTP_ADDR)")
			require.NotContains(t, s.output(), "VERDICT")
			cleanConsul(t, c.Client(t, 0))
		}
	})
}

// TestConsulTTL runs on a Consul with its own shortest TTL, of which one run
// would take a minute.
func TestConsulTTL(t *testing.T) {
	t.Parallel()
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true, SessionTTLMin: -1})
	s := playAs(t, nil, "-consul", c.Endpoints()[0], "-ttl", "2s")
	s.ends(10*time.Second, exitFailed)
	require.Contains(t, s.output(), "Invalid Session TTL '2000000000', must be between [10s=24h0m0s]")
	require.Contains(t, s.output(), "\n-ttl is shorter than these servers allow (session_ttl_min)")
	cleanConsul(t, c.Client(t, 0))

	s = playAs(t, nil, "-consul", c.Endpoints()[0])
	s.sees("SIGKILL to ")
	require.Contains(t, s.output(), "a lease lasts 10s here (asked for: 10s)")
	require.Contains(t, s.output(), "taken for up to 21s. That happens twice; the whole run takes about 49 s")
	require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
	s.ends(5*time.Second, 130)
	cleanConsul(t, c.Client(t, 0))
}

// TestConsulFailover gives the address of a server that is down before that of
// one that is not.
func TestConsulFailover(t *testing.T) {
	t.Parallel()
	c := servers.StartConsul(t, 3)
	c.Member(0).Kill()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := c.Leader(ctx)
	require.NoError(t, err)
	s := playAs(t, nil, "-consul", strings.Join(c.Endpoints(), ", "), "-ttl", "2s")
	s.sees("leads with token")
	require.Contains(t, s.output(), "no answer from "+c.Member(0).Endpoint()+": ")
	require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
	s.ends(5*time.Second, 130)
	cleanConsul(t, c.Client(t, 1))
}

// TestConsulSecure runs on a Consul as a cautious user has it, by nothing but
// the variables of consul.
func TestConsulSecure(t *testing.T) {
	t.Parallel()
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true, ACL: true, TLS: true})
	root := c.Client(t, 0)
	token := func(name, rules string) string {
		_, _, err := root.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil)
		require.NoError(t, err)
		tok, _, err := root.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{Name: name}}}, nil)
		require.NoError(t, err)
		return tok.SecretID
	}
	demo := token("demo", `
		key_prefix "quickstart-" { policy = "write" }
		session_prefix "quickstart-" { policy = "write" }
		node_prefix "quickstart-" { policy = "write" }`)
	keys := token("keys", `key_prefix "quickstart-" { policy = "write" }`)
	other := token("other", `key_prefix "other-" { policy = "write" }`)
	cert, key := c.Authority().Issue(t, "quickstart")
	stranger := servers.NewAuthority(t)
	vars := func(token string, ca *servers.Authority) map[string]string {
		return map[string]string{
			"CONSUL_HTTP_ADDR": strings.TrimPrefix(c.Endpoints()[0], "https://"), "CONSUL_HTTP_SSL": "true",
			"CONSUL_HTTP_TOKEN": token, "CONSUL_CACERT": ca.CAFile(), "CONSUL_CLIENT_CERT": cert, "CONSUL_CLIENT_KEY": key,
		}
	}
	t.Run("all of it", func(t *testing.T) {
		s := playAs(t, vars(demo, c.Authority()), "-consul", "env", "-ttl", "1s")
		s.ends(60*time.Second, exitOK)
		require.Regexp(t, allGood, s.output())
		cleanConsul(t, root)
	})
	for name, wrong := range map[string]string{"a token without any right": other, "a token without a right to nodes": keys, "an unknown token": "guess"} {
		t.Run(name, func(t *testing.T) {
			s := playAs(t, vars(wrong, c.Authority()), "-consul", "env", "-ttl", "1s")
			s.ends(10*time.Second, exitFailed)
			require.Contains(t, s.output(), `the token must be allowed to write all keys, sessions and nodes whose names begin with "quickstart-"`)
			cleanConsul(t, root)
		})
	}
	t.Run("another authority", func(t *testing.T) {
		s := playAs(t, vars(demo, stranger), "-consul", "env", "-ttl", "1s")
		s.ends(10*time.Second, exitFailed)
		require.Contains(t, s.output(), "no Consul answers at ")
		require.Contains(t, s.output(), "tls: failed to verify certificate")
	})
	t.Run("http where it wants https", func(t *testing.T) {
		s := playAs(t, nil, "-consul", strings.Replace(c.Endpoints()[0], "https", "http", 1))
		s.ends(10*time.Second, exitFailed)
		require.Contains(t, s.output(), "Client sent an HTTP request to an HTTPS server")
	})
}

func TestConsulUnreachable(t *testing.T) {
	t.Parallel()
	closed := servers.Reserve(t)
	s := playAs(t, nil, "-consul", closed)
	s.ends(10*time.Second, exitFailed)
	require.Contains(t, s.output(), "no Consul answers at "+closed+" (from -consul)")
	require.Contains(t, s.output(), "connection refused")
	s = playAs(t, nil, "-consul", silentPort(t))
	s.ends(10*time.Second, exitFailed)
	require.Contains(t, s.output(), "no answer within 5s (is it the right port, and https where it wants that?)")
}
