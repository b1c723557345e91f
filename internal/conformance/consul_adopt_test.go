// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// TestConsulAdopt: a session that the program has already carries our locks, if
// it keeps the rules of a lease, and lives on after us.
func TestConsulAdopt(t *testing.T) {
	t.Parallel()
	c := servers.StartConsul(t, 1)
	client := c.Client(t, 0)
	store := few(t, c, consul.DefaultNode, 0)
	first, err := store.Grant(within(t, patience), time.Second) // makes the node
	require.NoError(t, err)
	create := func(e api.SessionEntry) adapters.LeaseID {
		t.Helper()
		e.LockDelay = -1
		id, _, err := client.Session().CreateNoChecks(&e, nil)
		require.NoError(t, err)
		return adapters.LeaseID(id)
	}
	fit := api.SessionEntry{Node: consul.DefaultNode, Behavior: api.SessionBehaviorDelete, TTL: "2s"}

	for field, e := range map[string]api.SessionEntry{
		"Behavior": {Node: fit.Node, TTL: fit.TTL},
		"Node":     {Behavior: fit.Behavior, TTL: fit.TTL},
		"TTL":      {Node: fit.Node, Behavior: fit.Behavior},
	} {
		_, err := session.Open(within(t, patience), store, &session.Options{Lease: create(e)})
		require.ErrorIs(t, err, adapters.ErrInvalid, field)
		require.ErrorContains(t, err, "session's "+field+" is")
	}
	checked, _, err := client.Session().Create(&api.SessionEntry{Behavior: fit.Behavior, TTL: fit.TTL}, nil)
	require.NoError(t, err)
	_, err = store.Renew(within(t, patience), adapters.LeaseID(checked))
	require.ErrorContains(t, err, "NodeChecks")

	id := create(fit)
	s, err := session.Open(within(t, patience), store, &session.Options{Lease: id, TTL: 2 * time.Second})
	require.NoError(t, err)
	m, err := mutex.New(s, "l", nil)
	require.NoError(t, err)
	h, err := m.Lock(within(t, patience))
	require.NoError(t, err)
	select {
	case <-h.Context().Done():
		require.NoError(t, h.Check())
	case <-time.After(5 * time.Second): // the subject is what happens in that time: nothing
	}
	require.NoError(t, h.Unlock())
	require.NoError(t, s.Close())
	entry, _, err := client.Session().Info(string(id), nil)
	require.NoError(t, err)
	require.NotNil(t, entry, "not ours to destroy")
	view, err := store.Read(within(t, patience), "quorate/session/")
	require.NoError(t, err)
	require.Empty(t, view.KVs)

	// The longest TTL in use is noted, whoever chose it.
	fit.TTL = "1h"
	s, err = session.Open(within(t, patience), store, &session.Options{Lease: create(fit), TTL: time.Hour})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	note, err := store.Read(within(t, patience), "quorate/node")
	require.NoError(t, err)
	require.Contains(t, string(note.KVs[0].Value), `"ttl_ms":3600000`)
	require.NoError(t, store.Revoke(within(t, patience), first.ID))
}
