// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/stretchr/testify/require"
)

// A fake is a transport that acts out a Consul of one server: keys, sessions,
// catalog nodes and blocking queries, as far as the adapter uses them. What a
// real one does is tested against real ones, in internal/conformance. This one
// runs in virtual time, and can be made to answer what a real one rarely does.
type fake struct {
	mu       sync.Mutex
	index    uint64
	keys     map[string]api.KVPair
	graves   map[string]uint64 // of deleted keys, when
	sessions map[string]*api.SessionEntry
	nodes    map[string]*api.Node
	leader   string
	hidden   func(key string) bool // what the token may not read
	changed  chan struct{}         // closed at each change
	restores int

	// script may answer instead. If it returns nothing, the request goes on.
	script func(context.Context, call) (*http.Response, error)

	calls []call
	open  map[string]int // requests under way: "poll", "call" and "probe"
	most  map[string]int // the most of them that there ever were
}

// A call is a request that was received.
type call struct {
	what  string // as "PUT /v1/txn"
	query url.Values
	body  string
}

func newFake() *fake {
	return &fake{
		index:    10,
		keys:     make(map[string]api.KVPair),
		graves:   make(map[string]uint64),
		sessions: make(map[string]*api.SessionEntry),
		nodes:    make(map[string]*api.Node),
		leader:   "127.0.0.1:8300",
		hidden:   func(string) bool { return false },
		changed:  make(chan struct{}),
		open:     make(map[string]int),
		most:     make(map[string]int),
	}
}

// store makes a Store on f, with the others for failover.
func (f *fake) store(t *testing.T, opts consul.Options, others ...*fake) *consul.Store {
	t.Helper()
	for _, o := range others {
		opts.Failover = append(opts.Failover, client(t, o))
	}
	store, err := consul.New(client(t, f), &opts)
	require.NoError(t, err)
	return store
}

func client(t *testing.T, rt http.RoundTripper) *api.Client {
	t.Helper()
	c, err := api.NewClient(&api.Config{Address: "127.0.0.1:8500", HttpClient: &http.Client{Transport: rt}})
	require.NoError(t, err)
	return c
}

// latency is what each request takes, so that time passes for whoever asks again
// and again.
const latency = time.Millisecond

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	c := call{what: r.Method + " " + r.URL.Path, query: r.URL.Query()}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		c.body = string(body)
	}
	f.mu.Lock()
	f.calls = append(f.calls, c)
	script, kind := f.script, c.kind()
	f.open[kind]++
	f.most[kind] = max(f.most[kind], f.open[kind])
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open[kind]--
	}()
	if err := pause(r.Context(), latency); err != nil {
		return nil, err
	}
	if script != nil {
		if resp, err := script(r.Context(), c); resp != nil || err != nil {
			return resp, err
		}
	}
	return f.serve(r.Context(), c)
}

func (c call) kind() string {
	switch {
	case strings.HasPrefix(c.what, "GET /v1/kv/"):
		return "poll"
	case c.what == leaderCall:
		return "probe"
	}
	return "call"
}

const (
	txnCall    = "PUT /v1/txn"
	leaderCall = "GET /v1/status/leader"
	createCall = "PUT /v1/session/create"
)

// pause returns after d, or as a transport does when ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// hang is what a server that is frozen does to a request.
func hang(ctx context.Context) (*http.Response, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// reply makes an answer of a status and of a text or of a value for JSON.
func reply(status int, v any) *http.Response {
	text, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		text = string(b)
	}
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: io.NopCloser(bytes.NewBufferString(text)),
	}
}

// on has script answer the calls of that kind, as "PUT /v1/txn", from now on.
func (f *fake) on(what string, script func(context.Context, call) (*http.Response, error)) {
	f.scripted(func(ctx context.Context, c call) (*http.Response, error) {
		if strings.HasPrefix(c.what, what) {
			return script(ctx, c)
		}
		return nil, nil
	})
}

func (f *fake) scripted(script func(context.Context, call) (*http.Response, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = script
}

// freeze has every request hang from now on.
func (f *fake) freeze() {
	f.scripted(func(ctx context.Context, _ call) (*http.Response, error) { return hang(ctx) })
}

// count returns how many requests of that kind there were: all if it is empty.
func (f *fake) count(what string) int { return len(f.received(what)) }

func (f *fake) received(what string) []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), func(c call) bool { return !strings.HasPrefix(c.what, what) })
}

func (f *fake) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = nil
	clear(f.most)
}

// set writes a key, as somebody else would.
func (f *fake) set(key, value string) {
	f.change(func() {
		old := f.keys[key]
		f.put(f.keys, &api.KVPair{Key: key, Value: []byte(value), Session: old.Session, Flags: f.index})
	})
}

// muffle writes a key, which those who wait already are never told.
func (f *fake) muffle(key, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.index++
	f.changed = make(chan struct{})
	f.put(f.keys, &api.KVPair{Key: key, Value: []byte(value), Flags: f.index})
}

func (f *fake) remove(key string) {
	f.change(func() {
		delete(f.keys, key)
		f.graves[key] = f.index
	})
}

// hide sets what the token may not read.
func (f *fake) hide(hidden func(key string) bool) { f.change(func() { f.hidden = hidden }) }

// deregister takes a node out of the catalog, with its sessions and their keys.
func (f *fake) deregister(node string) {
	f.change(func() {
		delete(f.nodes, node)
		for id, s := range f.sessions {
			if s.Node == node {
				f.end(id)
			}
		}
	})
}

// restore replaces the whole state by one key, as it was at an index of the past.
// Consul has those who wait look again, which they are told only if told is set.
func (f *fake) restore(index uint64, key, value string, told bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.keys)
	clear(f.graves)
	f.index = index
	f.put(f.keys, &api.KVPair{Key: key, Value: []byte(value), Flags: f.index})
	if told {
		f.restores++
		close(f.changed)
		f.changed = make(chan struct{})
	}
}

// reap forgets what was deleted, as Consul does after a quarter of an hour.
func (f *fake) reap() { f.change(func() { clear(f.graves) }) }

// end ends a session that deletes its keys.
func (f *fake) end(id string) {
	delete(f.sessions, id)
	for key, kv := range f.keys {
		if kv.Session == id {
			delete(f.keys, key)
			f.graves[key] = f.index
		}
	}
}

// change makes one step of the store.
func (f *fake) change(step func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.index++
	step()
	close(f.changed)
	f.changed = make(chan struct{})
}

// put writes p into keys. Like Consul it does not move what stays as it was.
func (f *fake) put(keys map[string]api.KVPair, p *api.KVPair) {
	old, there := keys[p.Key]
	p.CreateIndex, p.ModifyIndex = f.index, f.index
	if there {
		p.CreateIndex = old.CreateIndex
		if old.Flags == p.Flags && old.Session == p.Session && bytes.Equal(old.Value, p.Value) {
			p.ModifyIndex = old.ModifyIndex
		}
	}
	keys[p.Key] = *p
}

// under returns the keys that begin with prefix, sorted.
func under(keys map[string]api.KVPair, prefix string) (pairs api.KVPairs) {
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if strings.HasPrefix(key, prefix) {
			kv := keys[key]
			pairs = append(pairs, &kv)
		}
	}
	return pairs
}

// A follower is somebody who watches and remembers what it sees.
type follower struct {
	mu    sync.Mutex
	views []adapters.View
	err   error // the end of the watch
	ended bool
}

// follow watches name in a goroutine of its own.
func follow(ctx context.Context, store adapters.Store, name string) *follower {
	w := new(follower)
	go func() {
		for view, err := range store.Watch(ctx, name) {
			w.mu.Lock()
			if err != nil {
				w.err = err
			} else {
				w.views = append(w.views, view)
			}
			w.mu.Unlock()
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = true
	}()
	return w
}

// saw returns the values of the first key in each view, "-" for none.
func (w *follower) saw() (values []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.views {
		if len(v.KVs) == 0 {
			values = append(values, "-")
		} else {
			values = append(values, string(v.KVs[0].Value))
		}
	}
	return values
}

// end returns the error that the watch ended with, and whether it has ended.
func (w *follower) end() (error, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err, w.ended
}
