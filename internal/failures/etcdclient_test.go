// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// An etcdClient is what a user would make, and counts the watches that the
// server has confirmed.
type etcdClient struct {
	*clientv3.Client
	watches atomic.Int64
}

// dialEtcd makes one. DialTimeout is what etcd's own examples have.
func dialEtcd(at site) (*etcdClient, error) {
	c := &etcdClient{}
	var err error
	c.Client, err = clientv3.New(clientv3.Config{
		Endpoints:   at.Endpoints,
		DialTimeout: 5 * time.Second,
		Username:    at.User,
		Password:    at.Password,
		TLS:         at.TLS,
		Logger:      zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			s, err := streamer(ctx, desc, cc, method, opts...)
			if err != nil {
				return nil, err
			}
			return etcdStream{s, c, at.Late, method}, nil
		}), grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			err := invoke(ctx, method, req, reply, cc, opts...)
			if at.Granted != nil && method == pb.Lease_LeaseGrant_FullMethodName {
				at.Granted()
			}
			return err
		})},
	})
	return c, err
}

type etcdStream struct {
	grpc.ClientStream
	client *etcdClient
	late   <-chan struct{}
	method string
}

// SendMsg lets no renewal be sent before site.Late says so.
func (s etcdStream) SendMsg(m any) error {
	if s.late != nil && s.method == "/etcdserverpb.Lease/LeaseKeepAlive" {
		select {
		case <-s.late:
		case <-s.Context().Done():
		}
	}
	return s.ClientStream.SendMsg(m)
}

func (s etcdStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if w, ok := m.(*pb.WatchResponse); ok && err == nil && w.Created {
		s.client.watches.Add(1)
	}
	return err
}
