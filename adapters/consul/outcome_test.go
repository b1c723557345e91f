// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/stretchr/testify/require"
)

// only requires that err is want and no other error of package adapters. A nil
// want is a definite error without a name.
func only(t *testing.T, err, want error, what string) {
	t.Helper()
	require.Error(t, err, what)
	for _, sentinel := range []error{adapters.ErrUnknown, adapters.ErrLeaseLost, adapters.ErrDenied, adapters.ErrConflict, adapters.ErrInvalid} {
		require.Equal(t, sentinel == want, errors.Is(err, sentinel), "%s: %v: %v", what, err, sentinel)
	}
}

// TestCommitErrors has answers of servers, of agents and of what stands before
// them, and what a caller may conclude.
func TestCommitErrors(t *testing.T) {
	f := newFake()
	store := f.store(t, consul.Options{})
	for _, c := range []struct {
		status int
		text   string
		want   error
	}{
		{403, "Permission denied: token with AccessorID 'x' lacks permission 'key:write' on \"a/k\"", adapters.ErrDenied},
		{403, "ACL not found", adapters.ErrDenied},
		{403, "rpc error making call: ACL not found", adapters.ErrDenied},
		{403, "Endpoint is blocked by agent configuration", adapters.ErrDenied},
		{401, "a proxy wants a password", adapters.ErrDenied},
		{400, "Failed to parse body: unexpected EOF", adapters.ErrInvalid},
		{405, "method PUT not allowed", adapters.ErrInvalid},
		{413, "Request body(600000 bytes) too large, max size: 524288 bytes.", adapters.ErrInvalid},
		{413, "Transaction contains too many operations (129 > 128)", adapters.ErrInvalid},
		{429, "Your IP is issuing too many concurrent connections, please rate limit your calls\n", nil},
		{500, "No cluster leader", nil},
		{500, "rpc error making call: No cluster leader", nil},
		{500, "rpc error making call: raft apply failed: node is not the leader", nil},
		{503, "rate limit exceeded, try again later or against a different server", nil},

		{500, "rpc error making call: raft apply failed: leadership lost while committing log", adapters.ErrUnknown},
		{500, "raft apply failed: timed out enqueuing operation", adapters.ErrUnknown},
		{500, "rpc error making call: EOF", adapters.ErrUnknown},
		{500, "rpc error making call: i/o deadline reached", adapters.ErrUnknown},
		{500, "rpc error getting client: failed to get conn: rpc error: lead thread didn't get connection", adapters.ErrUnknown},
		{500, "", adapters.ErrUnknown},
		{502, "bad gateway", adapters.ErrUnknown},
		{503, "no server is available", adapters.ErrUnknown},
		{504, "upstream request timeout", adapters.ErrUnknown},
		{404, "default backend - 404", adapters.ErrUnknown},
		{200, "", adapters.ErrUnknown},
		{200, "<html>please log in</html>", adapters.ErrUnknown},
		{200, `{"Results":[{"KV":{"Key":"a/k","Modif`, adapters.ErrUnknown},
		{200, `{"Results":[]}`, adapters.ErrUnknown},
		{200, `{"Results":[{"Node":{"Node":"x"}}]}`, adapters.ErrUnknown},
		{200, `null`, adapters.ErrUnknown},
		{200, `[]`, adapters.ErrUnknown},
		{409, "", adapters.ErrUnknown},
		{409, "conflict, says a proxy", adapters.ErrUnknown},
		{409, `{}`, adapters.ErrUnknown},
		{409, `{"Results":[{"KV":{"Key":"a/k","ModifyIndex":9}}],"Errors":null}`, adapters.ErrUnknown},
	} {
		f.on(txnCall, func(context.Context, call) (*http.Response, error) { return reply(c.status, c.text), nil })
		what := fmt.Sprint(c.status, " ", c.text)
		for _, tx := range []adapters.Tx{write, {Then: []adapters.Op{adapters.Delete("a/k")}}} {
			if len(tx.If) == 0 && c.status == 200 {
				continue // there is nothing that such an answer would lack
			}
			f.forget()
			_, err := store.Commit(t.Context(), tx)
			only(t, err, c.want, what)
			require.Equal(t, 1, f.count(""), what)
		}
		// Nothing can be unknown about what only reads.
		f.forget()
		_, err := store.Commit(t.Context(), adapters.Tx{If: []adapters.Cond{adapters.HeldBy("a/k", leaseA)}, Reads: []string{"a/k"}})
		require.Error(t, err, what)
		require.NotErrorIs(t, err, adapters.ErrUnknown, what)
		require.Equal(t, 1, f.count(""), what)
		_, err = store.Read(t.Context(), "a/k")
		require.Error(t, err, what)
		require.NotErrorIs(t, err, adapters.ErrUnknown, what)
	}
}

// TestRollback has the reasons for which a transaction is rolled back. Several
// can hold at once.
func TestRollback(t *testing.T) {
	const (
		exists   = `key "a/k" exists`
		moved    = `failed index check for key "a/k", current modify index 9 != 7`
		noKey    = `failed to check index, key "a/k" doesn't exist`
		other    = `failed session check for key "a/k", current session "" != "x"`
		noKey2   = `failed to check session, key "a/k" doesn't exist`
		held     = `failed to lock key "a/k", lock is already held`
		delay    = `failed to lock key "a/k" due to lock delay`
		notHeld  = `failed to unlock key "a/k", lock isn't held, or is held by another session`
		dead     = `invalid session "x"`
		lookup   = `failed session lookup: index error: UUID must be 36 characters`
		denied   = `Permission denied: token with AccessorID 'x' lacks permission 'key:write' on "a/k"`
		internal = `failed kvs lookup: object missing`
	)
	tx := adapters.Tx{
		If: []adapters.Cond{
			adapters.Absent("a/new"), adapters.Unchanged("a/old", 7), adapters.HeldBy("a/mine", leaseA), adapters.HeldBy("a/moves", leaseA),
		},
		Then: []adapters.Op{adapters.PutLeased("a/new", nil, leaseA), adapters.PutLeased("a/moves", nil, leaseB)},
	}
	for _, c := range []struct {
		errs []api.TxnError // 0 to 2 are the conditions, 3 is a lock, 4 and 5 are the move
		want error
	}{
		{[]api.TxnError{{OpIndex: 0, What: exists}}, adapters.ErrConflict},
		{[]api.TxnError{{OpIndex: 1, What: moved}}, adapters.ErrConflict},
		{[]api.TxnError{{OpIndex: 1, What: noKey}}, adapters.ErrConflict},
		{[]api.TxnError{{OpIndex: 2, What: other}}, adapters.ErrConflict},
		{[]api.TxnError{{OpIndex: 2, What: noKey2}}, adapters.ErrConflict},
		{[]api.TxnError{{OpIndex: 3, What: held}}, adapters.ErrConflict},
		{[]api.TxnError{{OpIndex: 3, What: delay}}, adapters.ErrConflict},
		{[]api.TxnError{{OpIndex: 4, What: notHeld}}, adapters.ErrConflict},
		{[]api.TxnError{{OpIndex: 3, What: dead}}, adapters.ErrLeaseLost},
		{[]api.TxnError{{OpIndex: 5, What: lookup}}, adapters.ErrLeaseLost},
		{[]api.TxnError{{OpIndex: 3, What: denied}}, adapters.ErrDenied},
		{[]api.TxnError{{OpIndex: 3, What: internal}}, adapters.ErrInvalid},
		{[]api.TxnError{{OpIndex: 99, What: internal}}, adapters.ErrInvalid},
		{[]api.TxnError{{OpIndex: -1, What: internal}}, adapters.ErrInvalid},
		{[]api.TxnError{{OpIndex: 3, What: dead}, {OpIndex: 0, What: exists}}, adapters.ErrConflict},
		{[]api.TxnError{{OpIndex: 1, What: moved}, {OpIndex: 3, What: dead}}, adapters.ErrConflict},
		{[]api.TxnError{{OpIndex: 0, What: exists}, {OpIndex: 3, What: denied}}, adapters.ErrDenied},
		{[]api.TxnError{{OpIndex: 3, What: internal}, {OpIndex: 5, What: dead}}, adapters.ErrLeaseLost},
	} {
		f := newFake()
		f.on(txnCall, func(context.Context, call) (*http.Response, error) {
			return reply(409, map[string]any{"Results": nil, "Errors": c.errs}), nil
		})
		_, err := f.store(t, consul.Options{}).Commit(t.Context(), tx)
		only(t, err, c.want, fmt.Sprint(c.errs))
		require.Equal(t, 1, f.count(""))
	}
}

// TestCommitHangs: a server that does not answer may have applied it.
func TestCommitHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.freeze()
		store := f.store(t, consul.Options{})
		start := time.Now()
		reason := errors.New("reason")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, reason)
		defer cancel()
		_, err := store.Commit(ctx, write)
		only(t, err, adapters.ErrUnknown, "its context ended")
		require.ErrorIs(t, err, reason)
		require.Equal(t, 2*time.Second, time.Since(start))

		// Who sets no deadline gets one.
		_, err = store.Commit(t.Context(), write)
		only(t, err, adapters.ErrUnknown, "no deadline")
		require.Equal(t, 32*time.Second, time.Since(start))
		require.Equal(t, 2, f.count(""), "each was sent once")
	})
}

// TestCauseIsNoAnswer: what ended a context is no word of a server about the
// request, whatever it says and whichever error it is.
func TestCauseIsNoAnswer(t *testing.T) {
	for _, cause := range []error{
		adapters.ErrLeaseLost, adapters.ErrDenied, adapters.ErrConflict, adapters.ErrInvalid,
		errors.New("Unexpected response code: 500 (No cluster leader)"),
		errors.New("Permission denied"),
		api.StatusError{Code: 403, Body: "ACL not found"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.freeze()
			store := f.store(t, consul.Options{})
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(fmt.Errorf("another session: %w", cause)) })
			_, err := store.Commit(ctx, write)
			require.ErrorIs(t, err, adapters.ErrUnknown, "%v: it was sent", cause)
			require.ErrorIs(t, err, cause)
			require.Equal(t, 1, f.count(""))
		})
	}
}
