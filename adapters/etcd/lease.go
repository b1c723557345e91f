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
	term := s.term.Load() // before it is asked for
	resp, err := s.leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: seconds}, grpc.WaitForReady(true))
	if err != nil {
		return adapters.Lease{}, fmt.Errorf("etcd: grant: %w", s.explain(ctx, rpctypes.Error(err), true, needs{}))
	}
	s.note(resp.Header)
	if term == 0 {
		term = resp.Header.GetRaftTerm() // the first answer that there is
	}
	s.grants.add(resp.ID, resp.TTL, term)
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
	ttl, err := s.extend(ctx, lease)
	if err == nil && ttl <= 0 {
		err = rpctypes.ErrLeaseNotFound
	}
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		s.hung.forget(lease)
		s.grants.forget(lease)
	}
	if err != nil {
		return 0, fmt.Errorf("etcd: renew lease %s: %w", id, s.explain(ctx, err, false, needs{lease: lease}))
	}
	return time.Duration(ttl) * time.Second, nil
}

// extend renews what is behind a lease, and sees to it that no earlier leader of
// etcd can end it.
func (s *Store) extend(ctx context.Context, id int64) (seconds int64, err error) {
	g := s.grants.of(id)
	if g == nil {
		seconds, _, err = s.confirmed(ctx, id)
		return seconds, err
	}
	if s.outdated(g) {
		if err := s.move(ctx, g, true); err != nil {
			return 0, err
		}
	}
	s.grants.mu.RLock()
	cur, term := g.cur, g.term
	s.grants.mu.RUnlock()
	seconds, in, err := s.confirmed(ctx, cur)
	switch {
	case err != nil || seconds <= 0:
		return seconds, err
	case in < term:
		return 0, errBehind
	case s.outdated(g): // this answer has told
		err = s.move(ctx, g, true)
	}
	return seconds, err
}

// confirmed renews a lease, and asks again if it is told that there is none: a
// leader that has just woken from a freeze says so of each lease that was granted
// since it fell asleep, until it hears of its successor.
func (s *Store) confirmed(ctx context.Context, id int64) (seconds int64, term uint64, err error) {
	const most, pause = 3, 50 * time.Millisecond
	for try := 1; ; try++ {
		seconds, term, err = s.renew(ctx, id)
		if gone := err == nil && seconds <= 0 || errors.Is(err, rpctypes.ErrLeaseNotFound); !gone || try == most {
			return seconds, term, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		}
	}
}

// gone makes sure that a lease has ended of which somebody has said so.
func (s *Store) gone(ctx context.Context, id int64) error {
	seconds, _, err := s.confirmed(ctx, id)
	switch {
	case err != nil:
		return err
	case seconds <= 0:
		return rpctypes.ErrLeaseNotFound
	}
	return errBehind
}

// renew makes a plain call of what etcd declares as a stream: a stream that the
// client closes behind its first message is one, byte for byte. The client logs
// in anew, with name and password, before each stream that it opens, and before
// a call only when the token has expired.
func (s *Store) renew(ctx context.Context, id int64) (seconds int64, term uint64, err error) {
	// A member that is cut off is to say so at once instead of waiting for its
	// leader until the deadline.
	once, stop, opt := sendOnce(clientv3.WithRequireLeader(ctx))
	defer stop()
	resp := new(pb.LeaseKeepAliveResponse)
	err = s.conn.Invoke(once, pb.Lease_LeaseKeepAlive_FullMethodName, &pb.LeaseKeepAliveRequest{ID: id}, resp,
		grpc.WaitForReady(true), opt)
	if err != nil {
		return 0, 0, rpctypes.Error(err)
	}
	s.note(resp.Header)
	return resp.TTL, resp.Header.GetRaftTerm(), nil
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
	for _, behind := range s.grants.behind(lease) {
		_, err := s.leases.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: behind}, grpc.WaitForReady(true))
		if err = rpctypes.Error(err); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return fmt.Errorf("etcd: revoke lease %s: %w", id, s.explain(ctx, err, true, needs{lease: lease}))
		}
	}
	s.hung.forget(lease)
	s.grants.forget(lease)
	return nil
}
