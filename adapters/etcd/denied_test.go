// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/etcd"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

var (
	byPassword = clientv3.Config{Username: "worker", Password: "secret"}
	byToken    = clientv3.Config{Token: "given"}
)

// TestRenewLogsInWhenAsked: a login is a password hash for the server and an
// entry in its log, and a renewal comes every few seconds from every process.
func TestRenewLogsInWhenAsked(t *testing.T) {
	expired := false
	f := new(fake)
	f.renew = func() (*pb.LeaseKeepAliveResponse, error) {
		if expired {
			expired = false
			return nil, rpctypes.ErrGRPCInvalidAuthToken
		}
		return &pb.LeaseKeepAliveResponse{Header: f.header(), ID: 0x1f, TTL: 7}, nil
	}
	store, _ := f.serveAs(t, byPassword, nil)
	for range 5 {
		_, err := store.Renew(t.Context(), "1f")
		require.NoError(t, err)
	}
	require.EqualValues(t, 5, f.renews.Load())
	require.EqualValues(t, 1, f.logins.Load(), "that of the client's start")

	expired = true
	ttl, err := store.Renew(t.Context(), "1f")
	require.NoError(t, err)
	require.Equal(t, 7*time.Second, ttl)
	require.EqualValues(t, 2, f.logins.Load())
}

// TestDeniedIsFinal has what etcd says of credentials, for each kind of client:
// what another try can mend must not be final, and what it cannot, must be.
func TestDeniedIsFinal(t *testing.T) {
	for _, who := range []struct {
		name   string
		client clientv3.Config
		denied map[error]string // and what the text says
		mended []error
	}{
		{"password", byPassword, map[error]string{
			rpctypes.ErrGRPCPermissionDenied: `user "worker" needs readwrite on "a/k" (etcdctl role grant-permission ROLE readwrite a/k)`,
			rpctypes.ErrGRPCAuthFailed:       `user "worker" cannot log in: its name or its password is wrong`,
		}, []error{rpctypes.ErrGRPCInvalidAuthToken, rpctypes.ErrGRPCAuthOldRevision, rpctypes.ErrGRPCUserEmpty}},
		{"token", byToken, map[error]string{
			rpctypes.ErrGRPCPermissionDenied: `the user of the client's token needs readwrite on "a/k"`,
			rpctypes.ErrGRPCInvalidAuthToken: "the client's token has expired",
			rpctypes.ErrGRPCAuthOldRevision:  "or users or roles were changed since",
		}, nil},
		{"certificate or nothing", clientv3.Config{}, map[error]string{
			rpctypes.ErrGRPCPermissionDenied: `the user whom the client's certificate names needs readwrite on "a/k"`,
			rpctypes.ErrGRPCUserEmpty:        "etcd asks for a user",
		}, []error{rpctypes.ErrGRPCAuthOldRevision}},
	} {
		t.Run(who.name, func(t *testing.T) {
			var answer error
			first := true // the client itself tries again when it has logged in
			f := new(fake)
			f.txn = func(int64) (*pb.TxnResponse, error) {
				if first {
					first = false
					return nil, answer
				}
				return &pb.TxnResponse{Header: f.header(), Succeeded: true, Responses: make([]*pb.ResponseOp, 1)}, nil
			}
			store, _ := f.serveAs(t, who.client, nil)
			commit := func(err error) error {
				answer, first = err, true
				_, err = store.Commit(t.Context(), adapters.Tx{
					If: []adapters.Cond{adapters.Absent("a/k")}, Then: []adapters.Op{adapters.Put("a/k", nil)},
				})
				return err
			}
			for err, text := range who.denied {
				got := commit(err)
				require.ErrorIs(t, got, adapters.ErrDenied, "%v", err)
				require.ErrorContains(t, got, text)
				require.ErrorContains(t, got, `etcd: commit "a/k": permission denied: `)
			}
			for _, err := range who.mended {
				require.NotErrorIs(t, commit(err), adapters.ErrDenied, "%v", err)
			}
		})
	}
}

// TestNoConnectionIsTold: a call that ended with its context because there was
// no connection says why there was none.
func TestNoConnectionIsTold(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close()) // refuses from now on
	store, err := etcd.New(plain(t, l.Addr().String()), nil)
	require.NoError(t, err)
	for name, call := range map[string]func(context.Context) error{
		"read":   func(ctx context.Context) error { _, err := store.Read(ctx, "k"); return err },
		"commit": func(ctx context.Context) error { _, err := store.Commit(ctx, write); return err },
		"grant":  func(ctx context.Context) error { _, err := store.Grant(ctx, time.Second); return err },
		"renew":  func(ctx context.Context) error { _, err := store.Renew(ctx, "1f"); return err },
		"revoke": func(ctx context.Context) error { return store.Revoke(ctx, "1f") },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err := call(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		require.ErrorContains(t, err, "no connection to etcd: ", name)
		require.ErrorContains(t, err, "refused", name)
	}
}
