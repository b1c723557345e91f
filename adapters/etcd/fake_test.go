// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/adapters/etcd"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake answers as no real etcd can be made to on demand. What a real one does
// is tested against real ones, in internal/conformance.
type fake struct {
	pb.UnimplementedKVServer
	pb.UnimplementedWatchServer
	pb.UnimplementedLeaseServer
	pb.UnimplementedAuthServer

	txn    func(calls int64) (*pb.TxnResponse, error)
	renew  func() (*pb.LeaseKeepAliveResponse, error)
	behind int64 // how far watch answers lag behind the rest
	mute   atomic.Bool
	slow   time.Duration // before a watch stream begins to answer

	rev                                         atomic.Int64
	txns, ranges, renews, streams, asks, logins atomic.Int64
}

func (f *fake) header() *pb.ResponseHeader { return &pb.ResponseHeader{Revision: f.rev.Load()} }

func (f *fake) Txn(context.Context, *pb.TxnRequest) (*pb.TxnResponse, error) {
	return f.txn(f.txns.Add(1))
}

func (f *fake) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	f.ranges.Add(1)
	return &pb.RangeResponse{Header: f.header()}, nil
}

func (f *fake) Authenticate(context.Context, *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	return &pb.AuthenticateResponse{Header: f.header(), Token: fmt.Sprint("token-", f.logins.Add(1))}, nil
}

func (f *fake) LeaseKeepAlive(s pb.Lease_LeaseKeepAliveServer) error {
	if _, err := s.Recv(); err != nil {
		return err
	}
	f.renews.Add(1)
	resp, err := f.renew()
	if err != nil {
		return err
	}
	return s.Send(resp)
}

func (f *fake) Watch(s pb.Watch_WatchServer) error {
	f.streams.Add(1)
	select {
	case <-time.After(f.slow):
	case <-s.Context().Done():
		return nil
	}
	for id := int64(0); ; {
		req, err := s.Recv()
		if err != nil {
			return nil
		}
		resp := &pb.WatchResponse{Header: &pb.ResponseHeader{Revision: f.rev.Load() - f.behind}}
		switch {
		case req.GetCreateRequest() != nil:
			resp.Created, resp.WatchId = true, id
			id++
		case req.GetProgressRequest() != nil:
			f.asks.Add(1)
			if f.mute.Load() {
				continue
			}
			resp.WatchId = clientv3.InvalidWatchID
		default:
			continue
		}
		if err := s.Send(resp); err != nil {
			return nil
		}
	}
}

// serve starts f and returns a Store on it.
func (f *fake) serve(t *testing.T, opts *etcd.Options) (*etcd.Store, *clientv3.Client) {
	t.Helper()
	return f.serveAs(t, clientv3.Config{}, opts)
}

// serveAs is serve for a client with the credentials of who.
func (f *fake) serveAs(t *testing.T, who clientv3.Config, opts *etcd.Options) (*etcd.Store, *clientv3.Client) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := grpc.NewServer()
	pb.RegisterKVServer(srv, f)
	pb.RegisterWatchServer(srv, f)
	pb.RegisterLeaseServer(srv, f)
	pb.RegisterAuthServer(srv, f)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Stop(); <-done })
	client := dial(t, who, l.Addr().String())
	store, err := etcd.New(client, opts)
	require.NoError(t, err)
	return store, client
}

func plain(t *testing.T, endpoint string) *clientv3.Client {
	t.Helper()
	return dial(t, clientv3.Config{}, endpoint)
}

func dial(t *testing.T, who clientv3.Config, endpoint string) *clientv3.Client {
	t.Helper()
	who.Endpoints, who.Logger = []string{endpoint}, zap.NewNop()
	client, err := clientv3.New(who)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// watch runs a watch until the test ends.
func watch(t *testing.T, store *etcd.Store, name string) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	ready := make(chan struct{})
	go func() {
		defer close(done)
		for _, err := range store.Watch(ctx, name) {
			if err == nil {
				close(ready)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	select {
	case <-ready:
	case <-time.After(10 * time.Second):
		t.Fatal("the watch shows nothing")
	}
}
