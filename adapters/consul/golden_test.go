// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/stretchr/testify/require"
)

const (
	leaseA = adapters.LeaseID("aaaaaaaa-0000-4000-8000-000000000000")
	leaseB = adapters.LeaseID("bbbbbbbb-0000-4000-8000-000000000000")
)

// wire returns a request as it stands in testdata, on one line: fields that mean
// nothing are left out, and what is random is replaced.
func wire(t *testing.T, c call) string {
	line := c.what
	if q := c.query.Encode(); q != "" {
		line += "?" + q
	}
	if c.body == "" {
		return line
	}
	dec := json.NewDecoder(strings.NewReader(c.body))
	dec.UseNumber()
	var body any
	require.NoError(t, dec.Decode(&body))
	b, err := json.Marshal(bare(body))
	require.NoError(t, err)
	return line + " " + string(b)
}

// bare takes out of v what encoding/json leaves out with omitempty. An empty
// list stays: Consul reads it otherwise than none.
func bare(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = bare(v[i])
		}
	case map[string]any:
		for key, value := range v {
			if value == nil || value == "" || value == false || value == json.Number("0") {
				delete(v, key)
			} else {
				v[key] = bare(value)
			}
		}
		if n, ok := v["Flags"].(json.Number); ok && n != lockFlag {
			v["Flags"] = "nonce"
		}
	}
	return v
}

const lockFlag = json.Number("3304740253564472344") // api.LockFlagValue

// golden compares what was sent with a file. What is stored is read by other
// versions of this package, and what is asked decides what a policy must allow:
// change a file only with a reason that its readers can live with.
func golden(t *testing.T, file string, got []string) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	require.Equal(t, string(want), strings.Join(got, "\n")+"\n")
}

// TestCommitRequests pins what each kind of condition, write and read becomes.
func TestCommitRequests(t *testing.T) {
	type conds = []adapters.Cond
	type ops = []adapters.Op
	tag := func(op adapters.Op) adapters.Op { op.Tag = api.LockFlagValue; return op }
	var got []string
	for _, c := range []struct {
		what string
		tx   adapters.Tx
	}{
		{"create a key", adapters.Tx{If: conds{adapters.Absent("a/b")}, Then: ops{adapters.Put("a/b", []byte("v"))}}},
		{"create a key on a lease", adapters.Tx{If: conds{adapters.Absent("a/b")}, Then: ops{adapters.PutLeased("a/b", []byte("v"), leaseA)}}},
		{"create a lock that api.Lock understands", adapters.Tx{If: conds{adapters.Absent("a/b")}, Then: ops{tag(adapters.PutLeased("a/b", nil, leaseA))}}},
		{"rewrite a key that is unchanged", adapters.Tx{If: conds{adapters.Unchanged("a/b", 7)}, Then: ops{adapters.PutKeep("a/b", []byte("v"))}}},
		{"rewrite a key that is held", adapters.Tx{If: conds{adapters.HeldBy("a/b", leaseA)}, Then: ops{adapters.PutKeep("a/b", []byte("v"))}}},
		{"lease a key again to its holder", adapters.Tx{If: conds{adapters.HeldBy("a/b", leaseA)}, Then: ops{adapters.PutLeased("a/b", []byte("v"), leaseA)}}},
		{"take a key off its lease", adapters.Tx{If: conds{adapters.HeldBy("a/b", leaseA)}, Then: ops{adapters.Put("a/b", []byte("v"))}}},
		{"move a key to another lease", adapters.Tx{If: conds{adapters.HeldBy("a/b", leaseA)}, Then: ops{adapters.PutLeased("a/b", []byte("v"), leaseB)}}},
		{"move a lock to another lease", adapters.Tx{If: conds{adapters.HeldBy("a/b", leaseA)}, Then: ops{tag(adapters.PutLeased("a/b", nil, leaseB))}}},
		{"move a key that is unchanged too", adapters.Tx{
			If:   conds{adapters.HeldBy("a/b", leaseA), adapters.Unchanged("a/b", 7)},
			Then: ops{adapters.PutLeased("a/b", []byte("v"), leaseB)},
		}},
		{"move a key of two holders, which fails", adapters.Tx{
			If:   conds{adapters.HeldBy("a/b", leaseA), adapters.HeldBy("a/b", leaseB)},
			Then: ops{adapters.PutLeased("a/b", []byte("v"), leaseB)},
		}},
		{"delete", adapters.Tx{Then: ops{adapters.Delete("a/b")}}},
		{"delete what is held", adapters.Tx{If: conds{adapters.HeldBy("a/b", leaseA)}, Then: ops{adapters.Delete("a/b")}}},
		{"conditions only", adapters.Tx{If: conds{adapters.Absent("a/b"), adapters.Unchanged("c", 7), adapters.HeldBy("d", leaseA)}}},
		{"reads only", adapters.Tx{Reads: []string{"a/b", "a/"}}},
		{"a place in a queue", adapters.Tx{
			If:    conds{adapters.Unchanged("q/session/1", 7), adapters.Absent("q/mutex/eu%2Fwest/1-1")},
			Then:  ops{adapters.PutLeased("q/mutex/eu%2Fwest/1-1", []byte("v"), leaseA)},
			Reads: []string{"q/mutex/eu%2Fwest/"},
		}},
	} {
		f := newFake()
		f.sessions[string(leaseA)], f.sessions[string(leaseB)] = new(api.SessionEntry), new(api.SessionEntry)
		_, _ = f.store(t, consul.Options{}).Commit(t.Context(), c.tx)
		require.Equal(t, 1, f.count(""), c.what)
		got = append(got, "# "+c.what, wire(t, f.received("")[0]))
	}
	golden(t, "commit.txt", got)
}

// TestRequests pins everything else that is sent.
func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		store := f.store(t, consul.Options{MaxPolls: 1, ProbeEvery: time.Hour})
		var got []string
		step := func(what string, do func()) {
			f.forget()
			do()
			synctest.Wait()
			var lines []string
			for _, c := range f.received("") {
				lines = append(lines, wire(t, c))
			}
			if strings.Contains(what, "watch") { // by several goroutines
				slices.Sort(lines)
				lines = slices.Compact(lines)
			}
			got = append(append(got, "# "+what), lines...)
		}
		var lease adapters.Lease
		step("first grant of all", func() {
			var err error
			lease, err = store.Grant(t.Context(), 10*time.Second)
			require.NoError(t, err)
		})
		step("grant", func() {
			_, err := store.Grant(t.Context(), time.Second)
			require.NoError(t, err)
		})
		step("grant of a longer lease", func() {
			_, err := store.Grant(t.Context(), 90*time.Second)
			require.NoError(t, err)
		})
		step("renew", func() {
			_, err := store.Renew(t.Context(), lease.ID)
			require.NoError(t, err)
		})
		step("revoke", func() { require.NoError(t, store.Revoke(t.Context(), lease.ID)) })
		step("read a key", func() {
			_, err := store.Read(t.Context(), "a/x%2Fy")
			require.NoError(t, err)
		})
		step("read a subtree", func() {
			_, err := store.Read(t.Context(), "a/x%2Fy/")
			require.NoError(t, err)
		})
		// The first watch has a query of its own, the second one shares one.
		for _, name := range []string{"a/x%2Fy", "a/x%2Fy/"} {
			ctx, cancel := context.WithCancel(t.Context())
			step("watch "+name, func() {
				follow(ctx, store, name)
				time.Sleep(time.Second)
			})
			step("watch beyond the polls "+name, func() {
				follow(ctx, store, name)
				time.Sleep(time.Second)
			})
			step("change elsewhere, watched "+name, func() {
				f.set("elsewhere", time.Now().String())
				time.Sleep(time.Second)
			})
			cancel()
			synctest.Wait()
		}
		golden(t, "requests.txt", got)
	})
}
