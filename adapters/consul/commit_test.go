// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// write is a Tx that any store without the key would apply.
var write = adapters.Tx{
	If:   []adapters.Cond{adapters.Absent("a/k")},
	Then: []adapters.Op{adapters.Put("a/k", []byte("v"))},
}

func TestCommitResult(t *testing.T) {
	f := newFake()
	f.sessions[string(leaseA)], f.sessions[string(leaseB)] = new(api.SessionEntry), new(api.SessionEntry)
	store := f.store(t, consul.Options{})
	const key = "a/eu%2Fwest"
	res, err := store.Commit(t.Context(), adapters.Tx{
		If:    []adapters.Cond{adapters.Absent(key)},
		Then:  []adapters.Op{adapters.PutLeased(key, []byte("v"), leaseA)},
		Reads: []string{"a/", "a/none", key},
	})
	require.NoError(t, err)
	kv, there := res.Views[0].Get(key)
	require.True(t, there)
	require.Equal(t, adapters.KV{Key: key, Value: []byte("v"), Created: res.Rev, Mod: res.Rev, Lease: leaseA, Tag: kv.Tag}, kv)
	require.Empty(t, res.Views[1].KVs)
	require.Equal(t, res.Views[0], res.Views[2])

	moved, err := store.Commit(t.Context(), adapters.Tx{
		If:    []adapters.Cond{adapters.HeldBy(key, leaseA)},
		Then:  []adapters.Op{adapters.PutLeased(key, []byte("w"), leaseB), adapters.Delete("a/none")},
		Reads: []string{key},
	})
	require.NoError(t, err)
	require.Greater(t, moved.Rev, res.Rev)
	kv, _ = moved.Views[0].Get(key)
	require.Equal(t, adapters.KV{Key: key, Value: []byte("w"), Created: res.Rev, Mod: moved.Rev, Lease: leaseB, Tag: kv.Tag}, kv)

	// From the lease that it no longer hangs on it cannot be moved again.
	_, err = store.Commit(t.Context(), adapters.Tx{
		If:   []adapters.Cond{adapters.HeldBy(key, leaseA)},
		Then: []adapters.Op{adapters.PutLeased(key, nil, leaseB)},
	})
	require.ErrorIs(t, err, adapters.ErrConflict)

	// Views are sorted by names, which is not how Consul sorts what it stores.
	f.set("b/-", "")
	f.set("b/=2F", "")
	view, err := store.Read(t.Context(), "b/")
	require.NoError(t, err)
	require.Equal(t, []string{"b/%2F", "b/-"}, []string{view.KVs[0].Key, view.KVs[1].Key})

	res, err = store.Commit(t.Context(), adapters.Tx{Then: []adapters.Op{adapters.Delete(key)}, Reads: []string{"a/"}})
	require.NoError(t, err)
	require.Empty(t, res.Views[0].KVs)
}

// TestFilteredReads: Consul leaves out of the results what the token may not
// read. What was written is written all the same.
func TestFilteredReads(t *testing.T) {
	f := newFake()
	f.set("secret/x", "s")
	f.hide(func(key string) bool { return strings.HasPrefix(key, "secret/") })
	store := f.store(t, consul.Options{})
	for _, name := range []string{"secret/x", "secret/none", "secret/"} {
		tx := adapters.Tx{
			If:    []adapters.Cond{adapters.Absent("a/k")},
			Then:  []adapters.Op{adapters.Put("a/k", nil)},
			Reads: []string{"a/", name, "b"},
		}
		_, err := store.Commit(t.Context(), tx)
		require.ErrorIs(t, err, adapters.ErrUnknown, name)
		require.ErrorIs(t, err, adapters.ErrDenied, name)
		require.Contains(t, f.keys, tx.Then[0].Key, "it was applied")

		_, err = store.Commit(t.Context(), adapters.Tx{Then: []adapters.Op{adapters.Delete(tx.Then[0].Key)}, Reads: []string{name}})
		require.ErrorIs(t, err, adapters.ErrUnknown, name)
		require.ErrorIs(t, err, adapters.ErrDenied, name)
		require.NotContains(t, f.keys, tx.Then[0].Key, "it was applied")

		_, err = store.Commit(t.Context(), adapters.Tx{If: tx.If, Reads: []string{name}})
		require.ErrorIs(t, err, adapters.ErrDenied, name)
		require.NotErrorIs(t, err, adapters.ErrUnknown, "nothing was written")
		_, err = store.Read(t.Context(), name)
		require.ErrorIs(t, err, adapters.ErrDenied, name)
		require.ErrorContains(t, err, fmt.Sprintf("key_prefix %q", name))
	}
}

// TestFenceKeyExists: somebody has made the key that stands for the end of a
// subtree in an answer, as older servers let everybody do.
func TestFenceKeyExists(t *testing.T) {
	f := newFake()
	for _, key := range []string{"a//", "a/k", "a/", "b//", "b/c//"} {
		f.set(key, key)
	}
	store := f.store(t, consul.Options{})
	res, err := store.Commit(t.Context(), adapters.Tx{Reads: []string{"a/", "b/", "a/k", "none/"}})
	require.NoError(t, err)
	var keys []string
	for _, v := range res.Views {
		for _, kv := range v.KVs {
			keys = append(keys, kv.Key)
		}
	}
	require.Equal(t, []string{"a/k", "a/k"}, keys)
}

// TestNonces: a write that leaves a key as it was would not move its Mod, and one
// with the mark of a recipe would be taken for that.
func TestNonces(t *testing.T) {
	f := newFake()
	f.set("a/k", "v")
	store := f.store(t, consul.Options{})
	seen := map[uint64]bool{0: true, api.LockFlagValue: true, api.SemaphoreFlagValue: true}
	mod := adapters.Rev(f.keys["a/k"].ModifyIndex)
	for range 500 {
		res, err := store.Commit(t.Context(), adapters.Tx{
			If:   []adapters.Cond{adapters.Unchanged("a/k", mod)},
			Then: []adapters.Op{adapters.PutKeep("a/k", []byte("v"))},
		})
		require.NoError(t, err)
		require.Greater(t, res.Rev, mod)
		mod = res.Rev
		require.False(t, seen[f.keys["a/k"].Flags], "flags were there before")
		seen[f.keys["a/k"].Flags] = true
	}
}

// TestOperations: what a Tx becomes is never more than Consul takes, and nothing
// that would be is sent.
func TestOperations(t *testing.T) {
	key := func(i int) string { return fmt.Sprintf("a/%d", i) }
	moves := func(n int) (tx adapters.Tx) {
		for i := range n {
			tx.If = append(tx.If, adapters.HeldBy(key(i), leaseA))
			tx.Then = append(tx.Then, adapters.PutLeased(key(i), nil, leaseB))
		}
		return tx
	}
	reads := func(n int, end string) (tx adapters.Tx) {
		for i := range n {
			tx.Reads = append(tx.Reads, key(i)+end)
		}
		return tx
	}
	both := moves(62)
	both.Reads = []string{"a/", "b/"}
	checked := moves(42)
	for i := range 42 {
		checked.If = append(checked.If, adapters.Unchanged(key(i), 7))
	}
	for _, c := range []struct {
		what string
		tx   adapters.Tx
		ops  int // 0 if it is refused
	}{
		{"moves", moves(63), 126},
		{"a move too many", moves(64), 0},
		{"moves and reads", both, 128},
		{"moves that are conditional", checked, 126},
		{"reads", reads(126, ""), 126},
		{"a read too many", reads(127, ""), 0},
		{"reads of subtrees", reads(64, "/"), 128},
		{"one of those too many", reads(65, "/"), 0},
	} {
		f := newFake()
		_, err := f.store(t, consul.Options{}).Commit(t.Context(), c.tx)
		if c.ops == 0 {
			require.ErrorIs(t, err, adapters.ErrInvalid, c.what)
			require.Zero(t, f.count(""), c.what)
			continue
		}
		require.NotErrorIs(t, err, adapters.ErrInvalid, c.what)
		var ops []any
		require.NoError(t, json.Unmarshal([]byte(f.received(txnCall)[0].body), &ops))
		require.Len(t, ops, c.ops, c.what)
	}
}

// TestLargest: a Tx at the limits of its size is one that Consul takes.
func TestLargest(t *testing.T) {
	const maxBody = 512 << 10 // txn_max_req_len
	f := newFake()
	store := f.store(t, consul.Options{})
	l := store.Limits()
	one := adapters.Tx{If: []adapters.Cond{adapters.Absent("k")}, Then: []adapters.Op{adapters.Put("k", make([]byte, l.MaxValue))}}
	_, err := store.Commit(t.Context(), one)
	require.NoError(t, err)
	var many adapters.Tx
	for i := range l.MaxOps / 2 {
		key := fmt.Sprintf("%0*d", l.MaxKey, i)
		many.If = append(many.If, adapters.Absent(key))
		many.Then = append(many.Then, adapters.Put(key, make([]byte, l.MaxTx/(l.MaxOps/2)-2*l.MaxKey)))
	}
	_, err = store.Commit(t.Context(), many)
	require.NoError(t, err)
	for _, c := range f.received(txnCall) {
		require.Less(t, len(c.body), maxBody)
	}
	many.Then[0].Value = make([]byte, l.MaxTx)
	_, err = store.Commit(t.Context(), many)
	require.ErrorIs(t, err, adapters.ErrInvalid)
	require.Equal(t, 2, f.count(""))
}

// TestNothingSent: what cannot succeed, or nobody waits for, is not sent.
func TestNothingSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		store := f.store(t, consul.Options{MaxCalls: 1})
		reason := errors.New("reason")
		over, cancel := context.WithCancelCause(t.Context())
		cancel(reason)
		calls := func(ctx context.Context) []error {
			_, commit := store.Commit(ctx, write)
			_, read := store.Read(ctx, "a/k")
			_, grant := store.Grant(ctx, time.Minute)
			_, renew := store.Renew(ctx, leaseA)
			errs := []error{commit, read, grant, renew, store.Revoke(ctx, leaseA)}
			for _, err := range store.Watch(ctx, "a/k") {
				errs = append(errs, err)
			}
			require.Len(t, errs, 6, "a watch ends with one error")
			return errs
		}
		for _, err := range calls(over) {
			require.ErrorIs(t, err, reason)
			require.NotErrorIs(t, err, adapters.ErrUnknown)
		}
		for _, tx := range []adapters.Tx{{}, {Then: write.Then}, {Reads: []string{"a//b"}}, {Reads: []string{"a=2F"}}} {
			_, err := store.Commit(t.Context(), tx)
			require.ErrorIs(t, err, adapters.ErrInvalid)
			require.NotErrorIs(t, err, adapters.ErrUnknown)
		}
		require.Zero(t, f.count(""))

		// Who waited for a slot in vain has not sent anything either.
		f.on(txnCall, func(ctx context.Context, _ call) (*http.Response, error) { return hang(ctx) })
		hung, release := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _, _ = store.Commit(hung, write) }()
		synctest.Wait()
		short, stop := context.WithTimeoutCause(t.Context(), time.Second, reason)
		defer stop()
		_, err := store.Commit(short, write)
		require.ErrorIs(t, err, reason)
		require.NotErrorIs(t, err, adapters.ErrUnknown)
		require.Equal(t, 1, f.count(""))
		release()
		<-done
	})
}
