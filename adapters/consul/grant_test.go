// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/stretchr/testify/require"
)

// note is what the Store keeps for itself, in the form in which it is stored.
func (f *fake) note(t *testing.T) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	kv, there := f.keys["quorate/node"]
	if !there {
		return nil
	}
	var v map[string]any
	require.NoError(t, json.Unmarshal(kv.Value, &v))
	return v
}

// living returns the ids of all sessions.
func (f *fake) living() (ids []adapters.LeaseID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.sessions {
		ids = append(ids, adapters.LeaseID(id))
	}
	return ids
}

func TestFirstGrant(t *testing.T) {
	f := newFake()
	store := f.store(t, consul.Options{})
	lease, err := store.Grant(t.Context(), time.Second)
	require.NoError(t, err)
	require.Equal(t, 10*time.Second, lease.TTL, "rounded up to MinTTL")
	require.Equal(t, []adapters.LeaseID{lease.ID}, f.living())
	node := f.nodes["quorate"]
	require.Equal(t, map[string]string{"quorate": "leases"}, node.Meta)
	require.Equal(t, map[string]any{"v": 1.0, "node": float64(node.CreateIndex), "ttl_ms": 10_000.0}, f.note(t))
	s := f.sessions[string(lease.ID)]
	require.Equal(t, api.SessionEntry{
		ID: string(lease.ID), Name: "quorate", Node: "quorate", TTL: "10s", Behavior: "delete", CreateIndex: s.CreateIndex, NodeChecks: []string{},
	}, *s)
	ttl, err := store.Renew(t.Context(), lease.ID)
	require.NoError(t, err)
	require.Equal(t, lease.TTL, ttl)

	// Another name is another node, with a note of its own.
	other := f.store(t, consul.Options{Node: "team-b", MinTTL: time.Second})
	lease, err = other.Grant(t.Context(), 1500*time.Microsecond+time.Second)
	require.NoError(t, err)
	require.Equal(t, 1002*time.Millisecond, lease.TTL, "rounded up to a millisecond")
	require.Contains(t, f.keys, "team-b/node")
	_, err = store.Renew(t.Context(), lease.ID)
	require.ErrorIs(t, err, adapters.ErrInvalid)
	require.ErrorContains(t, err, `Node is "team-b", must be Options.Node "quorate"`)
}

func TestGrantRefuses(t *testing.T) {
	f := newFake()
	store := f.store(t, consul.Options{})
	for _, ttl := range []time.Duration{0, -1, 24*time.Hour + 1, 1 << 62} {
		_, err := store.Grant(t.Context(), ttl)
		require.ErrorIs(t, err, adapters.ErrInvalid)
		require.ErrorContains(t, err, "TTL must be from 10s to 24h0m0s")
	}
	require.Zero(t, f.count(""))

	f.on(createCall, func(context.Context, call) (*http.Response, error) {
		return reply(500, "Invalid Session TTL '10000000000', must be between [30s=24h0m0s]"), nil
	})
	_, err := store.Grant(t.Context(), 10*time.Second)
	require.ErrorIs(t, err, adapters.ErrInvalid, "the server's session_ttl_min is not Options.MinTTL")

	f.register(api.CatalogRegistration{Node: "quorate", NodeMeta: map[string]string{"quorate": "leases"}})
	for _, answer := range []string{`{}`, `{"ID":""}`, `{"ID":"../../kv/a"}`, `<html>`, ``} {
		f.on(createCall, func(context.Context, call) (*http.Response, error) { return reply(200, answer), nil })
		_, err = store.Grant(t.Context(), 10*time.Second)
		require.Error(t, err, answer)
	}
}

// TestForeignNode: an agent, or somebody's service outside, has the name that is
// ours. It would take the leases with it when it goes.
func TestForeignNode(t *testing.T) {
	f := newFake()
	f.register(api.CatalogRegistration{Node: "quorate", Address: "127.0.0.9", NodeMeta: map[string]string{"consul-version": "1.22.0"}})
	_, err := f.store(t, consul.Options{}).Grant(t.Context(), time.Minute)
	require.ErrorIs(t, err, adapters.ErrInvalid)
	require.ErrorContains(t, err, `Options.Node "quorate"`)
	require.Empty(t, f.living(), "what was made is taken back")
	require.Nil(t, f.note(t))
	require.Equal(t, "127.0.0.9", f.nodes["quorate"].Address)
}

// TestLongerLease: what nobody may be given a place before stands in the store
// before a lease that may take that long is given out.
func TestLongerLease(t *testing.T) {
	f := newFake()
	store := f.store(t, consul.Options{})
	_, err := store.Grant(t.Context(), 10*time.Second)
	require.NoError(t, err)
	granted := f.living()
	fail := func(ctx context.Context, c call) (*http.Response, error) {
		if strings.Contains(c.body, string(api.KVSet)) {
			return reply(500, "leadership lost while committing log"), nil
		}
		return nil, nil
	}
	f.on(txnCall, fail)
	_, err = store.Grant(t.Context(), time.Minute)
	require.Error(t, err)
	require.Equal(t, granted, f.living(), "what cannot be vouched for is destroyed")
	_, err = store.Grant(t.Context(), 10*time.Second)
	require.NoError(t, err, "a lease that is no longer needs no write")

	f.scripted(nil)
	lease, err := store.Grant(t.Context(), time.Minute)
	require.NoError(t, err)
	require.Equal(t, time.Minute, lease.TTL)
	require.Equal(t, 60_000.0, f.note(t)["ttl_ms"])
	_, err = store.Grant(t.Context(), 20*time.Second)
	require.NoError(t, err)
	require.Equal(t, 60_000.0, f.note(t)["ttl_ms"], "it is never lowered")
}

// TestNotVouchedFor: a session that was made and may not be given out does not
// stay, also if the caller has gone.
func TestNotVouchedFor(t *testing.T) {
	for what, answer := range map[string]func(context.Context) (*http.Response, error){
		"no leader": func(context.Context) (*http.Response, error) { return reply(500, "No cluster leader"), nil },
		"denied":    func(context.Context) (*http.Response, error) { return reply(403, "Permission denied"), nil },
		"no node": func(context.Context) (*http.Response, error) {
			return reply(409, `{"Errors":[{"OpIndex":1,"What":"node \"quorate\" doesn't exist"}]}`), nil
		},
		"rollback": func(context.Context) (*http.Response, error) {
			return reply(409, `{"Errors":[{"OpIndex":1,"What":"?"}]}`), nil
		},
		"filtered": func(context.Context) (*http.Response, error) { return reply(200, `{"Results":[]}`), nil },
		"no right to the node": func(context.Context) (*http.Response, error) {
			return reply(200, `{"Results":[{"KV":{"Key":"quorate/node"}}]}`), nil
		},
		"hangs": hang,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.on(txnCall, func(ctx context.Context, _ call) (*http.Response, error) { return answer(ctx) })
			ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, errors.New("reason"))
			defer cancel()
			_, err := f.store(t, consul.Options{}).Grant(ctx, time.Minute)
			require.Error(t, err, what)
			require.NotEmpty(t, f.received(createCall), what)
			require.Empty(t, f.living(), what)
			if what == "filtered" || what == "no right to the node" || what == "denied" {
				require.ErrorIs(t, err, adapters.ErrDenied, what)
			}
		})
	}
	// Taking it back is not waited for without end.
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.register(api.CatalogRegistration{Node: "quorate"})
		f.scripted(func(ctx context.Context, c call) (*http.Response, error) {
			if c.what == createCall {
				return nil, nil
			}
			return hang(ctx)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		_, err := f.store(t, consul.Options{}).Grant(ctx, time.Minute)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Less(t, time.Since(start), 7*time.Second)
	})
}

// TestNoteUnreadable: what does not say how long to wait must not be taken for
// "not at all".
func TestNoteUnreadable(t *testing.T) {
	for _, value := range []string{"", "hello", "null", "{}", "[]", `{"v":0,"node":1,"ttl_ms":1}`, `{"v":"1"}`} {
		f := newFake()
		store := f.store(t, consul.Options{})
		f.set("quorate/node", value)
		_, err := store.Grant(t.Context(), time.Minute)
		require.ErrorIs(t, err, adapters.ErrInvalid, value)
		require.ErrorContains(t, err, "quorate/node")
		require.Empty(t, f.living())
		require.Equal(t, value, string(f.keys["quorate/node"].Value), "it is left as it is")
	}
}

// TestRenewAnswers has sessions that were made elsewhere, and what else a server
// may say.
func TestRenewAnswers(t *testing.T) {
	f := newFake()
	f.register(api.CatalogRegistration{Node: "quorate", NodeMeta: map[string]string{"quorate": "leases"}})
	good := api.SessionEntry{ID: string(leaseA), Node: "quorate", TTL: "15s", Behavior: "delete"}
	f.sessions[string(leaseA)] = &good
	store := f.store(t, consul.Options{})
	ttl, err := store.Renew(t.Context(), leaseA)
	require.NoError(t, err)
	require.Equal(t, 15*time.Second, ttl)
	require.Equal(t, 15_000.0, f.note(t)["ttl_ms"], "it counts as if we had granted it")

	for field, change := range map[string]func(*api.SessionEntry){
		`TTL is ""`:                      func(e *api.SessionEntry) { e.TTL = "" },
		`TTL is "0s"`:                    func(e *api.SessionEntry) { e.TTL = "0s" },
		`TTL is "soon"`:                  func(e *api.SessionEntry) { e.TTL = "soon" },
		`Behavior is "release"`:          func(e *api.SessionEntry) { e.Behavior = "release" },
		`Behavior is ""`:                 func(e *api.SessionEntry) { e.Behavior = "" },
		"NodeChecks and ServiceChecks":   func(e *api.SessionEntry) { e.NodeChecks = []string{"serfHealth"} },
		"and ServiceChecks must be empt": func(e *api.SessionEntry) { e.ServiceChecks = []api.ServiceCheck{{ID: "x"}} },
		"ServiceChecks must be empty":    func(e *api.SessionEntry) { e.Checks = []string{"serfHealth"} },
		`Node is "web-1"`:                func(e *api.SessionEntry) { e.Node = "web-1" },
	} {
		e := good
		change(&e)
		f.sessions[string(leaseA)] = &e
		_, err := store.Renew(t.Context(), leaseA)
		require.ErrorIs(t, err, adapters.ErrInvalid, field)
		require.ErrorContains(t, err, field)
	}

	for _, c := range []struct {
		status int
		text   string
		want   error
	}{
		{404, "Session id 'x' not found", adapters.ErrLeaseLost},
		{404, "default backend - 404", nil},
		{403, "Permission denied: token with AccessorID 'x' lacks permission 'session:write' on \"quorate\"", adapters.ErrDenied},
		{500, "No cluster leader", nil},
		{500, "rpc error making call: EOF", nil},
		{429, "Your IP is issuing too many concurrent connections", nil},
		{200, "<html>", nil},
		{200, "", nil},
	} {
		f.forget()
		f.says(c.status, c.text)
		_, err := store.Renew(t.Context(), leaseA)
		only(t, err, c.want, c.text)
		require.Equal(t, 1, f.count(""), "it is not made again")
	}
}

// TestForeignLease: what Consul cannot have made is a lease that has ended, and
// nothing is asked about it, least of all by a path that it would be part of.
func TestForeignLease(t *testing.T) {
	f := newFake()
	store := f.store(t, consul.Options{})
	for _, id := range []adapters.LeaseID{
		"", "x", "../../kv/a", leaseA[:35], leaseA + "0", "AAAAAAAA-0000-4000-8000-000000000000",
		"aaaaaaaa-0000-4000-8000-00000000000/", "aaaaaaaa-0000-4000-8000-00000000000?", "aaaaaaaa00000-4000-8000-000000000000",
		"aaaaaaaa-0000-4000-8000-0000000000é", "-aaaaaaa-0000-4000-8000-000000000000", "gaaaaaaa-0000-4000-8000-000000000000",
	} {
		_, err := store.Renew(t.Context(), id)
		only(t, err, adapters.ErrLeaseLost, string(id))
		require.NoError(t, store.Revoke(t.Context(), id))
	}
	require.Zero(t, f.count(""))
}

// TestRenewBesideCalls: a lease is kept though every slot is taken by a call
// that hangs.
func TestRenewBesideCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		store := f.store(t, consul.Options{MaxCalls: 2})
		lease, err := store.Grant(t.Context(), 10*time.Second)
		require.NoError(t, err)
		f.on(txnCall, func(ctx context.Context, _ call) (*http.Response, error) { return hang(ctx) })
		for range 5 {
			go func() { _ = commit(t.Context(), store) }()
		}
		wait(time.Second)
		start := time.Now()
		_, err = store.Renew(t.Context(), lease.ID)
		require.NoError(t, err)
		require.Less(t, time.Since(start), 10*time.Millisecond)
	})
}
