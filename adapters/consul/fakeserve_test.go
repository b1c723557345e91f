// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// serve answers as Consul 1.22 would.
func (f *fake) serve(ctx context.Context, c call) (*http.Response, error) {
	name := func(prefix string) string { return strings.TrimPrefix(c.what, prefix) }
	switch {
	case c.what == leaderCall:
		f.mu.Lock()
		defer f.mu.Unlock()
		return reply(200, strconv.Quote(f.leader)), nil
	case c.what == txnCall:
		return f.transact(c.body), nil
	case strings.HasPrefix(c.what, "GET /v1/kv/"):
		return f.query(ctx, name("GET /v1/kv/"), c)
	case c.what == createCall:
		return f.create(c.body), nil
	case strings.HasPrefix(c.what, "PUT /v1/session/renew/"):
		f.mu.Lock()
		defer f.mu.Unlock()
		id := name("PUT /v1/session/renew/")
		if f.sessions[id] == nil {
			return reply(404, fmt.Sprintf("Session id '%s' not found", id)), nil
		}
		return reply(200, []*api.SessionEntry{f.sessions[id]}), nil
	case strings.HasPrefix(c.what, "PUT /v1/session/destroy/"):
		f.change(func() { f.end(name("PUT /v1/session/destroy/")) })
		return reply(200, true), nil
	case c.what == "PUT /v1/catalog/register":
		var reg api.CatalogRegistration
		if err := json.Unmarshal([]byte(c.body), &reg); err != nil {
			return reply(400, err.Error()), nil
		}
		f.register(reg)
		return reply(200, true), nil
	}
	return reply(404, "no such endpoint"), nil
}

func (f *fake) register(reg api.CatalogRegistration) {
	f.change(func() {
		if f.nodes[reg.Node] == nil || !reg.SkipNodeUpdate {
			f.nodes[reg.Node] = &api.Node{Node: reg.Node, Address: reg.Address, Meta: reg.NodeMeta, CreateIndex: f.index, ModifyIndex: f.index}
		}
	})
}

func (f *fake) create(body string) *http.Response {
	// LockDelay is a text here and a number in the answers.
	var e struct {
		api.SessionEntry
		LockDelay string
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return reply(400, err.Error())
	}
	var resp *http.Response
	f.change(func() {
		if f.nodes[e.Node] == nil {
			resp = reply(500, "rpc error making call: Missing node registration")
			return
		}
		e.ID = fmt.Sprintf("%08x-0000-4000-8000-000000000000", f.index)
		e.CreateIndex = f.index
		f.sessions[e.ID] = &e.SessionEntry
		resp = reply(200, map[string]string{"ID": e.ID})
	})
	return resp
}

// query answers one of the KV endpoint's, which blocks with an index.
func (f *fake) query(ctx context.Context, key string, c call) (*http.Response, error) {
	index, _ := strconv.ParseUint(c.query.Get("index"), 10, 64)
	wait, err := time.ParseDuration(cmp.Or(c.query.Get("wait"), "5m"))
	if err != nil {
		return reply(400, "Invalid wait time"), nil
	}
	timeout := time.NewTimer(wait + wait/32)
	defer timeout.Stop()
	life, missing, late := -1, false, false
	for {
		f.mu.Lock()
		at, found, resp := f.look(key, c)
		changed := f.changed
		restored := life >= 0 && life != f.restores
		life = f.restores
		f.mu.Unlock()
		// Nobody is woken for a single key that is still missing, and everybody
		// when the state is replaced.
		if index == 0 || restored || late || at > index && (found || !missing) {
			return resp, nil
		}
		missing = !found
		select {
		case <-changed:
		case <-timeout.C:
			late = true
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// look returns the index of what is asked for and the answer; f.mu is held.
func (f *fake) look(key string, c call) (uint64, bool, *http.Response) {
	_, recurse := c.query["recurse"]
	_, keys := c.query["keys"]
	one := !recurse && !keys
	var pairs api.KVPairs
	at, filtered := uint64(0), false
	if one {
		if f.hidden(key) {
			return f.index, true, reply(403, "Permission denied: token with AccessorID '' lacks permission 'key:read' on "+strconv.Quote(key))
		}
		if kv, there := f.keys[key]; there {
			at, pairs = kv.ModifyIndex, api.KVPairs{&kv}
		}
	} else {
		for grave, when := range f.graves {
			if strings.HasPrefix(grave, key) {
				at = max(at, when)
			}
		}
		for _, kv := range under(f.keys, key) {
			at = max(at, kv.ModifyIndex)
			if f.hidden(kv.Key) {
				filtered = true
			} else {
				pairs = append(pairs, kv)
			}
		}
	}
	if at == 0 {
		at = f.index // it has none of its own
	}
	resp := reply(404, "")
	if len(pairs) > 0 {
		resp = reply(200, pairs)
		if keys {
			resp = reply(200, cut(pairs, key, c.query.Get("separator")))
		}
	}
	resp.Header.Set("X-Consul-LastContact", "0") // or api reads no further
	resp.Header.Set("X-Consul-Index", strconv.FormatUint(at, 10))
	if filtered {
		resp.Header.Set("X-Consul-Results-Filtered-By-ACLs", "true")
	}
	return at, !one || len(pairs) > 0, resp
}

// cut returns the names of pairs, up to the first separator after prefix.
func cut(pairs api.KVPairs, prefix, separator string) (names []string) {
	for _, kv := range pairs {
		name := kv.Key
		if i := strings.Index(name[len(prefix):], separator); i >= 0 && separator != "" {
			name = name[:len(prefix)+i+len(separator)]
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// transact applies all operations or none.
func (f *fake) transact(body string) *http.Response {
	var ops api.TxnOps
	if err := json.Unmarshal([]byte(body), &ops); err != nil {
		return reply(400, "Failed to parse body: "+err.Error())
	}
	if len(ops) > 128 {
		return reply(413, fmt.Sprintf("Transaction contains too many operations (%d > 128)", len(ops)))
	}
	var resp api.TxnResponse
	step := func() {
		keys, graves := maps.Clone(f.keys), maps.Clone(f.graves)
		for i, op := range ops {
			var results api.TxnResults
			var err error
			if op.Node != nil {
				results, err = f.nodeOp(op.Node)
			} else {
				results, err = f.kvOp(keys, graves, op.KV)
			}
			if err != nil {
				resp.Errors = append(resp.Errors, &api.TxnError{OpIndex: i, What: err.Error()})
			}
			resp.Results = append(resp.Results, results...)
		}
		if len(resp.Errors) == 0 {
			f.keys, f.graves = keys, graves
		} else {
			resp.Results = nil
		}
	}
	if slices.ContainsFunc(ops, writes) {
		f.change(step)
	} else {
		f.mu.Lock()
		defer f.mu.Unlock()
		step()
	}
	if len(resp.Errors) > 0 {
		return reply(409, resp)
	}
	return reply(200, resp)
}

func writes(op *api.TxnOp) bool {
	return op.KV != nil && slices.Contains([]api.KVOp{api.KVSet, api.KVDelete, api.KVLock, api.KVUnlock}, op.KV.Verb)
}

func (f *fake) nodeOp(op *api.NodeTxnOp) (api.TxnResults, error) {
	node := f.nodes[op.Node.Node]
	if node == nil {
		return nil, fmt.Errorf("node %q doesn't exist", op.Node.Node)
	}
	return api.TxnResults{{Node: node}}, nil
}

// kvOp applies one operation. Reads show values, all others do not.
func (f *fake) kvOp(keys map[string]api.KVPair, graves map[string]uint64, op *api.KVTxnOp) (api.TxnResults, error) {
	old, there := keys[op.Key]
	p := &api.KVPair{Key: op.Key, Value: op.Value, Flags: op.Flags, Session: old.Session}
	switch op.Verb {
	case api.KVGetTree:
		var results api.TxnResults
		for _, kv := range under(keys, op.Key) {
			if !f.hidden(kv.Key) {
				results = append(results, &api.TxnResult{KV: kv})
			}
		}
		return results, nil
	case api.KVGetOrEmpty:
		if f.hidden(op.Key) {
			return nil, nil
		}
		if there {
			return api.TxnResults{{KV: &old}}, nil
		}
		return api.TxnResults{{KV: &api.KVPair{Key: op.Key}}}, nil
	case api.KVDelete:
		if there {
			delete(keys, op.Key)
			graves[op.Key] = f.index
		}
		return nil, nil
	case api.KVCheckNotExists:
		if there {
			return nil, fmt.Errorf("key %q exists", op.Key)
		}
		return nil, nil
	case api.KVCheckIndex:
		if !there || old.ModifyIndex != op.Index {
			return nil, fmt.Errorf("failed index check for key %q, current modify index %d != %d", op.Key, old.ModifyIndex, op.Index)
		}
		p = &old
	case api.KVCheckSession:
		if !there || old.Session != op.Session {
			return nil, fmt.Errorf("failed session check for key %q, current session %q != %q", op.Key, old.Session, op.Session)
		}
		p = &old
	case api.KVSet:
		f.put(keys, p)
	case api.KVLock:
		if f.sessions[op.Session] == nil {
			return nil, fmt.Errorf("invalid session %q", op.Session)
		}
		if old.Session != "" && old.Session != op.Session {
			return nil, fmt.Errorf("failed to lock key %q, lock is already held", op.Key)
		}
		p.Session = op.Session
		f.put(keys, p)
	case api.KVUnlock:
		if op.Session == "" || old.Session != op.Session {
			return nil, fmt.Errorf("failed to unlock key %q, lock isn't held, or is held by another session", op.Key)
		}
		p.Session = ""
		f.put(keys, p)
	default:
		return nil, fmt.Errorf("unknown KV operation: %s", op.Verb)
	}
	seen := *p
	seen.Value = nil
	return api.TxnResults{{KV: &seen}}, nil
}
