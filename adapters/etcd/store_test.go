// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/etcd"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestNewRefuses(t *testing.T) {
	_, err := etcd.New(nil, nil)
	require.ErrorIs(t, err, adapters.ErrInvalid)

	client := plain(t, "127.0.0.1:1")
	_, err = etcd.New(client, &etcd.Options{ProbeEvery: time.Millisecond})
	require.ErrorIs(t, err, adapters.ErrInvalid)
	require.ErrorContains(t, err, "ProbeEvery is 1ms, minimum 300ms")

	for what, wrap := range map[string]func(*clientv3.Client){
		"client.KV":      func(c *clientv3.Client) { c.KV = namespace.NewKV(c.KV, "ns/") },
		"client.Watcher": func(c *clientv3.Client) { c.Watcher = namespace.NewWatcher(c.Watcher, "ns/") },
	} {
		client := plain(t, "127.0.0.1:1")
		wrap(client)
		_, err = etcd.New(client, nil)
		require.ErrorIs(t, err, adapters.ErrInvalid)
		require.ErrorContains(t, err, what)
	}

	_, err = etcd.New(clientv3.NewCtxClient(t.Context()), nil)
	require.ErrorIs(t, err, adapters.ErrInvalid)
}

var write = adapters.Tx{
	If:   []adapters.Cond{adapters.Absent("k")},
	Then: []adapters.Op{adapters.Put("k", nil)},
}

// TestCommitErrors has the answers of a server and what a caller may conclude.
func TestCommitErrors(t *testing.T) {
	var answer error
	f := &fake{txn: func(int64) (*pb.TxnResponse, error) { return nil, answer }}
	store, _ := f.serve(t, nil)
	for _, c := range []struct {
		answer error
		want   error // nil for a definite error without a sentinel
	}{
		{rpctypes.ErrGRPCLeaseNotFound, adapters.ErrLeaseLost},
		{rpctypes.ErrGRPCPermissionDenied, adapters.ErrDenied},
		{rpctypes.ErrGRPCUserEmpty, adapters.ErrDenied},
		{status.Error(codes.Unauthenticated, "a proxy's login page"), adapters.ErrDenied},
		{rpctypes.ErrGRPCTooManyOps, nil},
		{rpctypes.ErrGRPCRequestTooLarge, nil},
		{rpctypes.ErrGRPCRequestTooManyRequests, nil},
		{rpctypes.ErrGRPCNotCapable, nil},
		{status.Error(codes.Unimplemented, "unknown service etcdserverpb.KV"), nil},

		// The applier reports it after a write that it has applied.
		{rpctypes.ErrGRPCNoSpace, adapters.ErrUnknown},
		{rpctypes.ErrGRPCTimeout, adapters.ErrUnknown},
		{rpctypes.ErrGRPCTimeoutDueToLeaderFail, adapters.ErrUnknown},
		{rpctypes.ErrGRPCLeaderChanged, adapters.ErrUnknown},
		{rpctypes.ErrGRPCNoLeader, adapters.ErrUnknown},
		{rpctypes.ErrGRPCStopped, adapters.ErrUnknown},
		{rpctypes.ErrGRPCCorrupt, adapters.ErrUnknown},
		{status.Error(codes.Unavailable, "transport is closing"), adapters.ErrUnknown},
		{status.Error(codes.Internal, "stream terminated by RST_STREAM"), adapters.ErrUnknown},
		{status.Error(codes.Unknown, "raft proposal dropped"), adapters.ErrUnknown},
		{status.Error(codes.ResourceExhausted, "grpc: received message larger than max (8 vs. 4)"), adapters.ErrUnknown},
		{status.Error(codes.DeadlineExceeded, "a proxy's own deadline"), adapters.ErrUnknown},
		{status.Error(codes.Canceled, "etcdserver: request canceled"), adapters.ErrUnknown},
	} {
		answer = c.answer
		before := f.txns.Load()
		_, err := store.Commit(t.Context(), write)
		require.Error(t, err)
		require.EqualValues(t, 1, f.txns.Load()-before, "%v: sent more than once", c.answer)
		for _, sentinel := range []error{adapters.ErrUnknown, adapters.ErrLeaseLost, adapters.ErrDenied, adapters.ErrConflict, adapters.ErrInvalid} {
			require.Equal(t, sentinel == c.want, errors.Is(err, sentinel), "%v: %v: %v", c.answer, err, sentinel)
		}
		require.ErrorContains(t, err, status.Convert(c.answer).Message())

		// Nothing can be unknown about what only reads.
		_, err = store.Commit(t.Context(), adapters.Tx{Reads: []string{"k"}})
		require.Error(t, err)
		require.NotErrorIs(t, err, adapters.ErrUnknown)
	}
}

// TestCommitOnce: the first attempt is applied, but a proxy answers that it
// took too long. The etcd client would send the transaction again, which then
// fails on its own condition: "conflict", although it was applied.
func TestCommitOnce(t *testing.T) {
	f := &fake{txn: func(calls int64) (*pb.TxnResponse, error) {
		if calls == 1 {
			return nil, status.Error(codes.DeadlineExceeded, "upstream request timeout")
		}
		return &pb.TxnResponse{Header: new(pb.ResponseHeader), Succeeded: false}, nil
	}}
	store, client := f.serve(t, nil)
	_, err := store.Commit(t.Context(), write)
	require.ErrorIs(t, err, adapters.ErrUnknown)
	require.NotErrorIs(t, err, adapters.ErrConflict)
	require.EqualValues(t, 1, f.txns.Load())

	// The bare client does what is described above.
	f.txns.Store(0)
	resp, err := client.Txn(t.Context()).Then(clientv3.OpPut("k", "")).Commit()
	require.NoError(t, err)
	require.False(t, resp.Succeeded)
	require.EqualValues(t, 2, f.txns.Load())
}

func TestContextOver(t *testing.T) {
	f := &fake{txn: func(int64) (*pb.TxnResponse, error) { return nil, rpctypes.ErrGRPCStopped }}
	store, client := f.serve(t, nil)
	reason := errors.New("reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	calls := func(ctx context.Context) []error {
		_, commit := store.Commit(ctx, write)
		_, read := store.Read(ctx, "k")
		_, grant := store.Grant(ctx, time.Second)
		_, renew := store.Renew(ctx, "1f")
		errs := []error{commit, read, grant, renew, store.Revoke(ctx, "1f")}
		for _, err := range store.Watch(ctx, "k") {
			errs = append(errs, err)
		}
		require.Len(t, errs, 6, "a watch ends with one error")
		return errs
	}
	for _, err := range calls(ctx) {
		require.ErrorIs(t, err, reason)
		require.NotErrorIs(t, err, adapters.ErrUnknown)
	}
	require.NoError(t, client.Close())
	for _, err := range calls(t.Context()) {
		require.ErrorIs(t, err, etcd.ErrClosed)
		require.NotErrorIs(t, err, adapters.ErrUnknown)
	}
	require.Zero(t, f.txns.Load()+f.ranges.Load()+f.renews.Load()+f.streams.Load())
}

// TestCloseEndsWatch: a watch must not retry for ever on a client that is gone.
func TestCloseEndsWatch(t *testing.T) {
	store, client := new(fake).serve(t, nil)
	var last error
	for _, err := range store.Watch(t.Context(), "k") {
		if err == nil {
			require.NoError(t, client.Close())
		}
		last = err
	}
	require.ErrorIs(t, last, etcd.ErrClosed)
}

func TestRenewAnswers(t *testing.T) {
	var resp *pb.LeaseKeepAliveResponse
	var fail error
	f := &fake{renew: func() (*pb.LeaseKeepAliveResponse, error) { return resp, fail }}
	store, _ := f.serve(t, nil)

	resp = &pb.LeaseKeepAliveResponse{Header: new(pb.ResponseHeader), ID: 0x1f, TTL: 7}
	ttl, err := store.Renew(t.Context(), "1f")
	require.NoError(t, err)
	require.Equal(t, 7*time.Second, ttl)

	resp = &pb.LeaseKeepAliveResponse{Header: new(pb.ResponseHeader), ID: 0x1f, TTL: 0}
	_, err = store.Renew(t.Context(), "1f")
	require.ErrorIs(t, err, adapters.ErrLeaseLost)

	// An error that passes is returned, and not tried again in a hot loop.
	before := f.renews.Load()
	fail = rpctypes.ErrGRPCNoLeader
	_, err = store.Renew(t.Context(), "1f")
	require.ErrorIs(t, err, rpctypes.ErrNoLeader)
	require.NotErrorIs(t, err, adapters.ErrLeaseLost)
	require.EqualValues(t, 1, f.renews.Load()-before)
}

// TestForeignLease: what etcd cannot have granted is treated as a lease that
// has ended, and nothing is sent.
func TestForeignLease(t *testing.T) {
	f := new(fake)
	store, _ := f.serve(t, nil)
	for _, id := range []adapters.LeaseID{"nonsense", "0", "00", "1F", " 1f", "0x1f", "10000000000000000"} {
		_, err := store.Renew(t.Context(), id)
		require.ErrorIs(t, err, adapters.ErrLeaseLost)
		require.NoError(t, store.Revoke(t.Context(), id))
		_, err = store.Commit(t.Context(), adapters.Tx{If: []adapters.Cond{adapters.HeldBy("k", id)}})
		require.ErrorIs(t, err, adapters.ErrConflict)
		_, err = store.Commit(t.Context(), adapters.Tx{
			If:   []adapters.Cond{adapters.Absent("k")},
			Then: []adapters.Op{adapters.PutLeased("k", nil, id)},
		})
		require.ErrorIs(t, err, adapters.ErrLeaseLost)
	}
	require.Zero(t, f.txns.Load()+f.renews.Load())
}
