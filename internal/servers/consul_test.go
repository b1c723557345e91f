// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package servers_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
)

func putKV(ctx context.Context, c *api.Client, key, value string) error {
	_, err := c.KV().Put(&api.KVPair{Key: key, Value: []byte(value)}, (&api.WriteOptions{}).WithContext(ctx))
	return err
}

func getKV(ctx context.Context, t *testing.T, c *api.Client, key string) string {
	pair, _, err := c.KV().Get(key, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	require.NoError(t, err)
	if pair == nil {
		return ""
	}
	return string(pair.Value)
}

func newSession(c *api.Client, ttl string) error {
	_, _, err := c.Session().Create(&api.SessionEntry{TTL: ttl}, nil)
	return err
}

func TestConsulDev(t *testing.T) {
	t.Setenv("CONSUL_HTTP_TOKEN", "of whoever runs this")
	begin := time.Now()
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true})
	t.Logf("ready after %v", time.Since(begin))
	client, ctx := c.Client(t, 0), within(t, 20*time.Second)
	require.Empty(t, os.Getenv("CONSUL_HTTP_TOKEN"))

	id, _, err := client.Session().Create(&api.SessionEntry{TTL: "100ms"}, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		s, _, err := client.Session().Info(id, nil)
		return err == nil && s == nil
	}, 2*time.Second, 10*time.Millisecond, "sessions may be short")
	require.NoError(t, putKV(ctx, client, "a", "1"))
	i, err := c.Leader(ctx)
	require.NoError(t, err)
	require.Zero(t, i)

	c.Member(0).Restart()
	require.NoError(t, c.Ready(ctx))
	require.Empty(t, getKV(ctx, t, client, "a"), "its data are in its memory")
}

func TestConsulDefaultSessions(t *testing.T) {
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true, SessionTTLMin: -1})
	client := c.Client(t, 0)
	require.ErrorContains(t, newSession(client, "9s"), "Invalid Session TTL")
	require.NoError(t, newSession(client, "10s"))
}

func TestConsulRestartKeepsData(t *testing.T) {
	begin := time.Now()
	c := servers.StartConsul(t, 1)
	t.Logf("ready after %v", time.Since(begin))
	client, ctx, m := c.Client(t, 0), within(t, 60*time.Second), c.Member(0)
	require.NoError(t, putKV(ctx, client, "a", "1"))
	for _, end := range []func(){m.Kill, m.Terminate} {
		pid, endpoint := m.Pid(), m.Endpoint()
		end()
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
		begin := time.Now()
		m.Restart()
		require.NoError(t, c.Ready(ctx))
		t.Logf("ready again after %v", time.Since(begin))
		require.NotEqual(t, pid, m.Pid())
		require.Equal(t, endpoint, m.Endpoint())
		require.Equal(t, "1", getKV(ctx, t, client, "a"))
		require.NoError(t, newSession(client, ""), "its node is healthy")
	}
}

func TestConsulThreeServers(t *testing.T) {
	begin := time.Now()
	c := servers.StartConsul(t, 3)
	t.Logf("ready after %v", time.Since(begin))
	ctx := within(t, 60*time.Second)
	require.Len(t, c.Endpoints(), 3)

	for _, fault := range []struct {
		name      string
		hit, mend func(*servers.Member)
	}{
		{"killed", (*servers.Member).Kill, (*servers.Member).Restart},
		{"frozen", (*servers.Member).Stop, (*servers.Member).Cont},
		{"terminated", (*servers.Member).Terminate, (*servers.Member).Restart},
	} {
		t.Run("leader "+fault.name, func(t *testing.T) {
			old, err := c.Leader(ctx)
			require.NoError(t, err)
			fault.hit(c.Member(old))
			begin := time.Now()
			next, err := c.Leader(ctx)
			require.NoError(t, err)
			require.NotEqual(t, old, next)
			t.Logf("another leader after %v", time.Since(begin))
			require.Eventually(t, func() bool { return putKV(ctx, c.Client(t, next), "a", fault.name) == nil }, 5*time.Second, 10*time.Millisecond)

			begin = time.Now()
			fault.mend(c.Member(old))
			require.NoError(t, c.Ready(ctx))
			t.Logf("ready again after %v", time.Since(begin))
			raft, err := c.Client(t, old).Operator().RaftGetConfiguration(nil)
			require.NoError(t, err)
			voters := 0
			for _, s := range raft.Servers {
				if s.Voter {
					voters++
				}
			}
			require.Equal(t, 3, voters)
			require.Equal(t, fault.name, getKV(ctx, t, c.Client(t, old), "a"))
		})
	}
}

func TestConsulAgents(t *testing.T) {
	const left = 3 // a status of serf
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true, Clients: 2})
	require.Len(t, c.Members(), 3)
	require.Equal(t, c.Members()[1:], c.Agents())
	server, ctx := c.Client(t, 0), within(t, 30*time.Second)
	require.NoError(t, putKV(ctx, c.Client(t, 1), "a", "1"))
	require.Equal(t, "1", getKV(ctx, t, c.Client(t, 2), "a"))

	id, _, err := c.Client(t, 1).Session().Create(&api.SessionEntry{}, nil)
	require.NoError(t, err)
	c.Agents()[0].Terminate()
	require.Eventually(t, func() bool {
		s, _, err := server.Session().Info(id, nil)
		require.NoError(t, err)
		return s == nil
	}, 10*time.Second, 10*time.Millisecond, "a client agent leaves, and its node's sessions go with it")
	members, err := server.Agent().Members(false)
	require.NoError(t, err)
	for _, m := range members {
		require.Equal(t, m.Name == "c0", m.Status == left, m.Name)
	}

	c.Agents()[0].Restart()
	require.NoError(t, c.Ready(ctx))
	require.NoError(t, newSession(c.Client(t, 1), ""))
}

func TestConsulACL(t *testing.T) {
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true, ACL: true, Clients: 1})
	ctx := within(t, 20*time.Second)
	for i := range c.Members() {
		require.NoError(t, putKV(ctx, c.Client(t, i), "a", "1"))
		cfg := c.Config(i)
		cfg.Token = ""
		anonymous, err := api.NewClient(cfg)
		require.NoError(t, err)
		require.ErrorContains(t, putKV(ctx, anonymous, "a", "2"), "403")
		cfg.Transport.CloseIdleConnections()
	}

	policy, _, err := c.Client(t, 0).ACL().PolicyCreate(&api.ACLPolicy{Name: "b", Rules: `key_prefix "b" { policy = "write" }`}, nil)
	require.NoError(t, err)
	token, _, err := c.Client(t, 0).ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
	require.NoError(t, err)
	cfg := c.Config(0)
	cfg.Token = token.SecretID
	some, err := api.NewClient(cfg)
	require.NoError(t, err)
	defer cfg.Transport.CloseIdleConnections()
	require.NoError(t, putKV(ctx, some, "b", "1"))
	require.ErrorContains(t, putKV(ctx, some, "a", "1"), "403")
}

func TestConsulTLS(t *testing.T) {
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{TLS: true, Clients: 1})
	ctx := within(t, 20*time.Second)
	for i, m := range c.Members() {
		require.NoError(t, putKV(ctx, c.Client(t, i), "a", "1"))

		// Its answer to a client without a certificate comes after the handshake,
		// and would be lost if the client were writing then.
		stranger, err := tls.Dial("tcp", strings.TrimPrefix(m.Endpoint(), "https://"), &tls.Config{RootCAs: c.Authority().Pool()})
		require.NoError(t, err)
		_, err = stranger.Read(make([]byte, 1))
		require.ErrorContains(t, err, "certificate required")
		require.NoError(t, stranger.Close())

		cfg := c.Config(i)
		cfg.TLSConfig.CAFile = ""
		careful, err := api.NewClient(cfg)
		require.NoError(t, err)
		require.ErrorContains(t, putKV(ctx, careful, "a", "2"), "unknown authority")

		resp, err := http.Get("http" + m.Endpoint()[len("https"):] + "/v1/status/leader")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusBadRequest, resp.StatusCode, "it speaks HTTPS only")
	}
	http.DefaultClient.CloseIdleConnections()
	require.Equal(t, "1", getKV(ctx, t, c.Client(t, 0), "a"))
}

// A test that uses up what Consul allows one host must not look like a cluster
// that is not ready.
func TestConsulReadyAtTheLimitOfConnections(t *testing.T) {
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true})
	ctx := within(t, 20*time.Second)
	for range 200 { // Consul's default
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(c.Member(0).Endpoint(), "http://"))
		require.NoError(t, err)
		defer conn.Close()
	}
	client := c.Client(t, 0)
	require.Eventually(t, func() bool {
		err := putKV(ctx, client, "a", "1")
		return err != nil && strings.Contains(err.Error(), "429")
	}, 5*time.Second, 10*time.Millisecond)
	require.NoError(t, c.Ready(ctx))
	_, err := c.Leader(ctx)
	require.NoError(t, err)
}

func TestConsulForgetsDeadServersIfAsked(t *testing.T) {
	for _, cleanup := range []bool{false, true} {
		c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true, CleanupDead: cleanup})
		autopilot, err := c.Client(t, 0).Operator().AutopilotGetConfiguration(nil)
		require.NoError(t, err)
		require.Equal(t, cleanup, autopilot.CleanupDeadServers)
	}
}
