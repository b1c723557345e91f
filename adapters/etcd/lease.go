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
// short deadline leaves a member that hangs. A lease that the Store has granted
// costs a read of nothing too, and more when etcd has a new leader: see move.
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
	g := s.grants.asked(id)
	if g == nil {
		seconds, _, err = s.confirmed(ctx, id, 0)
		return seconds, err
	}
	// A call that is in a hurry is no time for more than a renewal.
	deadline, ok := ctx.Deadline()
	hurry := ok && time.Until(deadline) < time.Duration(g.seconds)*time.Second/12
	if s.outdated(g) && !hurry {
		if err := s.move(ctx, g, true); err != nil {
			return 0, err
		}
	}
	s.grants.mu.RLock()
	cur, term := g.cur, g.term
	s.grants.mu.RUnlock()
	asked := time.Now()
	seconds, in, err := s.confirmed(ctx, cur, term)
	switch {
	case err != nil || seconds <= 0:
		return seconds, err
	case in < term:
		return 0, errBehind
	}
	// Was that the leader who leads? One that has just woken does not know better,
	// and a member can be slow to learn of a new one.
	if err := s.catchUp(ctx, time.Since(asked)); err != nil {
		return 0, err
	}
	if s.outdated(g) {
		if hurry {
			return 0, errOutdated
		}
		err = s.move(ctx, g, true)
	}
	return seconds, err
}

// catchUp makes a linearizable read of nothing, which needs no right. Its answer
// tells the term of a leader that a majority has heeded since it was asked. A
// member that hangs is left for another one; but where the call before it took
// long, so may this one.
func (s *Store) catchUp(ctx context.Context, before time.Duration) error {
	each := s.patience
	if deadline, ok := ctx.Deadline(); ok {
		each = min(each, time.Until(deadline)/3)
	}
	each = max(each, 2*before)
	resp, err := insist(ctx, each, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.kv.Txn(ctx).Commit()
	})
	if err == nil {
		s.note(resp.Header)
	}
	return err
}

// confirmed renews a lease, and asks again if it is told that there is none: a
// leader that has just woken from a freeze says so of each lease that was granted
// since it fell asleep, until it hears of its successor. Who has not heard of the
// term least cannot know the lease.
func (s *Store) confirmed(ctx context.Context, id int64, least uint64) (seconds int64, term uint64, err error) {
	const most, pause = 3, 50 * time.Millisecond
	for try := 1; ; try++ {
		seconds, term, err = s.renew(ctx, id)
		switch absent := err == nil && seconds <= 0; {
		case !absent && !errors.Is(err, rpctypes.ErrLeaseNotFound):
			return seconds, term, err
		case try < most:
		case absent && term < least:
			return 0, term, errBehind
		default:
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
func (s *Store) gone(ctx context.Context, id int64, least uint64) error {
	seconds, _, err := s.confirmed(ctx, id, least)
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
	behind := []int64{lease}
	if g := s.grants.of(lease); g != nil {
		if err := g.take(ctx); err != nil {
			return fmt.Errorf("etcd: revoke lease %s: %w", id, err)
		}
		defer g.give()
		g.over = true // nothing moves any more
		behind = s.grants.behind(g)
	}
	for _, one := range behind {
		_, err := s.leases.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: one}, grpc.WaitForReady(true))
		if err = rpctypes.Error(err); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return fmt.Errorf("etcd: revoke lease %s: %w", id, s.explain(ctx, err, true, needs{lease: lease}))
		}
	}
	s.hung.forget(lease)
	s.grants.forget(lease)
	return nil
}
