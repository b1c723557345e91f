// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
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
	resp, err := s.leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: seconds}, grpc.WaitForReady(true))
	if err != nil {
		return adapters.Lease{}, fmt.Errorf("etcd: grant: %w", s.explain(ctx, rpctypes.Error(err), true, needs{}))
	}
	return adapters.Lease{ID: leaseID(int64(resp.ID)), TTL: time.Duration(resp.TTL) * time.Second}, nil
}

// Renew extends a lease once. It is one message and its answer, which the
// client's balancer places on the next member; so whoever tries again with a
// short deadline leaves a member that hangs.
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
		s.hung.forget(lease)
		err = rpctypes.ErrLeaseNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("etcd: renew lease %s: %w", id, s.explain(ctx, err, false, needs{lease: lease}))
	}
	return time.Duration(ttl) * time.Second, nil
}

// renew makes a plain call of what etcd declares as a stream: a stream that the
// client closes behind its first message is one, byte for byte. The client logs
// in anew, with name and password, before each stream that it opens, and before
// a call only when the token has expired.
func (s *Store) renew(ctx context.Context, id int64) (seconds int64, err error) {
	// A member that is cut off is to say so at once instead of waiting for its
	// leader until the deadline.
	once, stop, opt := sendOnce(clientv3.WithRequireLeader(ctx))
	defer stop()
	resp := new(pb.LeaseKeepAliveResponse)
	err = s.conn.Invoke(once, pb.Lease_LeaseKeepAlive_FullMethodName, &pb.LeaseKeepAliveRequest{ID: id}, resp,
		grpc.WaitForReady(true), opt)
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
	_, err := s.leases.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: lease}, grpc.WaitForReady(true))
	if err = rpctypes.Error(err); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("etcd: revoke lease %s: %w", id, s.explain(ctx, err, true, needs{lease: lease}))
	}
	s.hung.forget(lease)
	return nil
}
