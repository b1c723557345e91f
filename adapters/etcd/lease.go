// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quorate/quorate/adapters"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// Grant starts a lease of at least ttl, which is rounded up to seconds; etcd
// makes it no shorter than one and a half of its election timeouts.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (adapters.Lease, error) {
	if ttl <= 0 || ttl > limits.MaxTTL {
		return adapters.Lease{}, fmt.Errorf("etcd: grant: %w: TTL is %v, limit %v", adapters.ErrInvalid, ttl, limits.MaxTTL)
	}
	if err := s.ready(ctx); err != nil {
		return adapters.Lease{}, fmt.Errorf("etcd: grant: %w", err)
	}
	seconds := int64(ttl / time.Second)
	if ttl%time.Second != 0 {
		seconds++
	}
	resp, err := s.client.Lease.Grant(ctx, seconds)
	if err != nil {
		return adapters.Lease{}, fmt.Errorf("etcd: grant: %w", s.explain(ctx, err, true))
	}
	return adapters.Lease{ID: leaseID(int64(resp.ID)), TTL: time.Duration(resp.TTL) * time.Second}, nil
}

// Renew extends a lease once. It is one message and its answer on a stream of
// its own, which the client's balancer places on the next member; so whoever
// tries again with a short deadline leaves a member that hangs.
//
// The client's KeepAliveOnce is not used: it tries again at once and without a
// pause for as long as a member answers that it is unavailable.
func (s *Store) Renew(ctx context.Context, id adapters.LeaseID) (time.Duration, error) {
	lease := parseLease(id)
	if lease == 0 {
		return 0, fmt.Errorf("etcd: renew lease %s: %w", id, adapters.ErrLeaseLost)
	}
	if err := s.ready(ctx); err != nil {
		return 0, fmt.Errorf("etcd: renew lease %s: %w", id, err)
	}
	ttl, err := s.renew(ctx, lease)
	if err == nil && ttl <= 0 {
		err = rpctypes.ErrLeaseNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("etcd: renew lease %s: %w", id, s.explain(ctx, err, false))
	}
	return time.Duration(ttl) * time.Second, nil
}

func (s *Store) renew(ctx context.Context, id int64) (seconds int64, err error) {
	// A member that is cut off is to say so at once instead of waiting for its
	// leader until the deadline.
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	stream, err := s.leases.LeaseKeepAlive(ctx, grpc.WaitForReady(true))
	if err != nil {
		return 0, rpctypes.Error(err)
	}
	// A Send that fails with EOF leaves the reason to Recv.
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil && !errors.Is(err, io.EOF) {
		return 0, rpctypes.Error(err)
	}
	// Half closed, the stream ends by itself once the answer is sent.
	if err := stream.CloseSend(); err != nil {
		return 0, rpctypes.Error(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		return 0, rpctypes.Error(err)
	}
	s.note(resp.Header)
	return resp.TTL, nil
}

// Revoke ends a lease and deletes its keys. A lease that has ended is no error.
func (s *Store) Revoke(ctx context.Context, id adapters.LeaseID) error {
	lease := parseLease(id)
	if lease == 0 {
		return nil
	}
	if err := s.ready(ctx); err != nil {
		return fmt.Errorf("etcd: revoke lease %s: %w", id, err)
	}
	_, err := s.client.Lease.Revoke(ctx, clientv3.LeaseID(lease))
	if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("etcd: revoke lease %s: %w", id, s.explain(ctx, err, true))
	}
	return nil
}
