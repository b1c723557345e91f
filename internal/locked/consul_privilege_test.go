// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
)

// consulSharedNode shows what the policy says of itself: who shares the node can
// end the leases of the others, and who has another node cannot.
func consulSharedNode(t *testing.T, site *consulSite) {
	ctx := within(t, patience)
	mine, _ := site.store(t, site.token(t, site.rules).secret, consul.Options{})
	apart := consulSwap(t, site.rules, consulLeases, consulRule("session", "apart", "write"))
	apart = consulSwap(t, apart, consulNode, consulRule("node", "apart", "write"))
	apart = consulSwap(t, apart, consulNote, consulRule("key", "apart/node", "write"))
	theirs, _ := site.store(t, site.token(t, apart).secret, consul.Options{Node: "apart"})
	lease, err := theirs.Grant(ctx, long)
	require.NoError(t, err)
	denied(t, func() error { return mine.Revoke(ctx, lease.ID) }, `lacks permission 'session:write' on "apart"`)
	denied(t, func() error { _, err := mine.Renew(ctx, lease.ID); return err }, "renew")
	require.NoError(t, theirs.Revoke(ctx, lease.ID))

	same, _ := site.store(t, site.token(t, site.rules).secret, consul.Options{})
	lease, err = same.Grant(ctx, long)
	require.NoError(t, err)
	require.NoError(t, mine.Revoke(ctx, lease.ID))
	_, err = same.Renew(ctx, lease.ID)
	require.ErrorIs(t, err, adapters.ErrLeaseLost)
}

// consulLeastPrivilege tries what the policy must not allow.
func consulLeastPrivilege(t *testing.T, site *consulSite) {
	token := site.token(t, site.rules)
	for i := range site.Members() {
		cfg := site.Config(i)
		cfg.Token = token.secret
		c, err := api.NewClient(cfg)
		require.NoError(t, err)
		t.Cleanup(cfg.Transport.CloseIdleConnections)
		manager := site.Client(t, i)
		node, err := manager.Agent().NodeName()
		require.NoError(t, err)

		theirs, _, err := manager.Session().Create(&api.SessionEntry{Name: "somebody's"}, nil)
		require.NoError(t, err)
		foreign := &api.KVPair{Key: "foreign/key", Value: []byte("x")}
		_, err = site.admin.KV().Put(foreign, nil)
		require.NoError(t, err)

		for what, try := range map[string]func() error{
			"end a session of the agent's node":   func() error { _, err := c.Session().Destroy(theirs, nil); return err },
			"renew a session of the agent's node": func() error { _, _, err := c.Session().Renew(theirs, nil); return err },
			"make a session on the agent's node": func() error {
				_, _, err := c.Session().CreateNoChecks(&api.SessionEntry{Node: node, TTL: "10s"}, nil)
				return err
			},
			"write another key":     func() error { _, err := c.KV().Put(foreign, nil); return err },
			"read another key":      func() error { _, _, err := c.KV().Get(foreign.Key, nil); return err },
			"delete all keys":       func() error { _, err := c.KV().DeleteTree("", nil); return err },
			"write the prefix":      func() error { _, err := c.KV().Put(&api.KVPair{Key: "quorate"}, nil); return err },
			"write a longer prefix": func() error { _, err := c.KV().Put(&api.KVPair{Key: "quorate-2/a"}, nil); return err },
			"deregister the agent's node": func() error {
				_, err := c.Catalog().Deregister(&api.CatalogDeregistration{Node: node}, nil)
				return err
			},
			"register another node": func() error {
				_, err := c.Catalog().Register(&api.CatalogRegistration{Node: "quorate-2", Address: "127.0.0.1"}, nil)
				return err
			},
			"register a service on the node of all leases": func() error {
				_, err := c.Catalog().Register(&api.CatalogRegistration{
					Node: "quorate", Address: "127.0.0.1", SkipNodeUpdate: true, Service: &api.AgentService{Service: "web"},
				}, nil)
				return err
			},
			"register a service here": func() error { return c.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "web"}) },
			"make a token":            func() error { _, _, err := c.ACL().TokenCreate(&api.ACLToken{}, nil); return err },
		} {
			err := try()
			require.Error(t, err, what)
			require.ErrorContains(t, err, "403", what)
		}
		entry, _, err := site.admin.Session().Info(theirs, nil)
		require.NoError(t, err)
		require.NotNil(t, entry, "it is still there")
		nodes, _, err := c.Catalog().Nodes(nil)
		require.NoError(t, err)
		for _, n := range nodes {
			require.Equal(t, "quorate", n.Node, "it sees no node but its own")
		}
	}
}
