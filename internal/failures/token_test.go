// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/internal/servers"
)

var (
	tokenExpires = serverScenario{scenario{
		name: "auth token expires during a wait", what: "The server's tokens live for a second when they are not used; both parties hold and wait for four.",
		on: []*kind{oursOnEtcd, theirMutex, theirElection},
	}, 1, tokensExpire}
	tokenWithdrawn = serverScenario{scenario{
		name: "token deleted", what: "The token of holder and waiter is deleted for good; somebody else, whose token lives, waits for the lock.",
		on: []*kind{oursOnConsul, theirLock}, convicts: []*kind{theirLock},
	}, 1, tokenDeleted}
)

// guardedEtcd has users with passwords, and tokens that end after a second.
func guardedEtcd(t *testing.T) (*ground, cluster) {
	e := servers.StartEtcdWith(t, 1, &servers.Options{TLS: true, AuthTokenTTL: time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, e.EnableAuth(ctx))
	root := e.Client(t)
	_, err := root.UserAdd(ctx, "app", "secret")
	require.NoError(t, err)
	_, err = root.UserGrantRole(ctx, "app", "root")
	require.NoError(t, err)
	return &ground{
		endpoints: e.Endpoints(), etcd: root, user: "app", password: "secret", tls: e.Authority().ClientTLS(t, "somebody"),
	}, etcdCluster{e}
}

func tokensExpire(st *stage) {
	first, second := st.pairs(6 * time.Second) // a renewal in 2 s
	st.each("wait", func(tr *trial) {
		if within(4*time.Second, second[tr].done) && second[tr].err != nil {
			tr.row.fault("the waiter gives up: %v", second[tr].err)
			return
		}
		if tr.held(first[tr]) {
			tr.handsOver(first[tr], second[tr], afterFault)
		}
	})
}

// guardedConsul lets nobody do anything without a token.
func guardedConsul(t *testing.T) (*ground, cluster) {
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{ACL: true})
	return &ground{endpoints: c.Endpoints(), consul: c.Client(t, 0), token: c.Token()}, c
}

func tokenDeleted(st *stage) {
	const ttl = 2 * time.Second
	acl := st.ground.consul.ACL()
	token, _, err := acl.TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{Name: "global-management"}}}, nil)
	require.NoError(st, err)
	lives := st.ground.token
	for _, tr := range st.trials {
		tr.site.Token = token.SecretID
	}
	first, second := st.pairs(ttl)
	_, err = acl.TokenDelete(token.AccessorID, nil)
	require.NoError(st, err)
	since := now()
	st.each("without a token", func(tr *trial) {
		tr.site.Token = lives
		c, _ := tr.contender()
		p := tr.tries(context.Background(), c)
		if !within(ttl+bound, second[tr].done) {
			tr.row.fault("the waiter waits on, without a session")
		}
		tr.gets(p)
		tr.row.passed(p.acquired - since)
		tr.taken(first[tr], p)
	})
}
