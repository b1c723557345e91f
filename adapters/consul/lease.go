// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
)

// Grant creates a session: on Options.Node, without checks, without a lock
// delay, and with the behavior to delete its keys. The servers end it two TTLs
// after its last renewal, so nothing but the TTL itself may be counted on.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (adapters.Lease, error) {
	lease, err := s.grant(ctx, ttl)
	if err != nil {
		return adapters.Lease{}, fmt.Errorf("consul: grant %v: %w", ttl, err)
	}
	return lease, nil
}

func (s *Store) grant(ctx context.Context, ttl time.Duration) (adapters.Lease, error) {
	if ttl <= 0 || ttl > maxTTL {
		return adapters.Lease{}, fmt.Errorf("%w: TTL must be from %v to %v", adapters.ErrInvalid, s.limits.MinTTL, maxTTL)
	}
	ttl = max(ttl, s.limits.MinTTL)
	if rest := ttl % time.Millisecond; rest != 0 {
		ttl += time.Millisecond - rest
	}
	id, err := s.create(ctx, ttl)
	if errors.Is(err, errNoNode) {
		if err = s.registerNode(ctx); err == nil {
			id, err = s.create(ctx, ttl)
		}
	}
	if err != nil {
		return adapters.Lease{}, err
	}
	if err := s.vouch(ctx, ttl); err != nil {
		// Best effort: nobody knows it, nothing hangs on it, and it runs out.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience)
		defer cancel()
		_ = s.destroy(ctx, id)
		return adapters.Lease{}, err
	}
	s.life.set(id, true)
	return adapters.Lease{ID: adapters.LeaseID(id), TTL: ttl}, nil
}

var errNoNode = errors.New("the catalog has no such node")

func (s *Store) create(ctx context.Context, ttl time.Duration) (string, error) {
	entry := &api.SessionEntry{
		Name:      "quorate",
		Node:      s.opts.Node,
		TTL:       ttl.String(),
		Behavior:  api.SessionBehaviorDelete,
		LockDelay: -1, // 0 would be left out, and mean 15 s
	}
	var id string
	err := s.once(ctx, false, func(ctx context.Context, c *api.Client) error {
		var err error
		id, _, err = c.Session().CreateNoChecks(entry, new(api.WriteOptions).WithContext(ctx))
		if err != nil && strings.Contains(err.Error(), "Missing node registration") {
			err = fmt.Errorf("%w: %w", errNoNode, err)
		}
		if err == nil && !isUUID(adapters.LeaseID(id)) {
			err = fmt.Errorf("answer to a session's creation: id is %q", id)
		}
		return err
	})
	return id, err
}

// Renew starts the lease's TTL anew. It refuses, with ErrInvalid, a session
// that was made elsewhere and does not keep the rules of a lease.
func (s *Store) Renew(ctx context.Context, id adapters.LeaseID) (time.Duration, error) {
	ttl, err := s.renew(ctx, id)
	if errors.Is(err, adapters.ErrLeaseLost) {
		s.life.set(string(id), false)
	}
	if err != nil {
		return 0, fmt.Errorf("consul: renew %s: %w", id, err)
	}
	return ttl, nil
}

func (s *Store) renew(ctx context.Context, id adapters.LeaseID) (time.Duration, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if !isUUID(id) {
		return 0, adapters.ErrLeaseLost
	}
	var entries []*api.SessionEntry
	err := s.with(ctx, s.renewals, false, func(ctx context.Context, c *api.Client) error {
		entries = nil
		_, err := c.Raw().Write("/v1/session/renew/"+string(id), nil, &entries, new(api.WriteOptions).WithContext(ctx))
		var status api.StatusError
		if errors.As(err, &status) && status.Code == http.StatusNotFound && strings.HasPrefix(status.Body, "Session id") {
			return adapters.ErrLeaseLost // Consul says so, and not somebody before it
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	if len(entries) != 1 {
		return 0, adapters.ErrLeaseLost
	}
	ttl, err := s.leaseTTL(entries[0])
	if err != nil || s.life.may(string(id)) {
		return ttl, err
	}
	// It was granted elsewhere, and is adopted: the same rules are for it.
	if err := s.vouch(ctx, ttl); err != nil {
		return 0, err
	}
	s.life.set(string(id), true)
	return ttl, nil
}

// leaseTTL returns the TTL of a session that is a lease in the sense of the
// contract. One that is not was made elsewhere, and adopted.
func (s *Store) leaseTTL(e *api.SessionEntry) (time.Duration, error) {
	ttl, err := time.ParseDuration(e.TTL)
	switch {
	case err != nil || ttl <= 0:
		err = fmt.Errorf("TTL is %q, must be set", e.TTL)
	case e.Behavior != api.SessionBehaviorDelete:
		err = fmt.Errorf("Behavior is %q, must be %q", e.Behavior, api.SessionBehaviorDelete)
	case len(e.NodeChecks)+len(e.ServiceChecks)+len(e.Checks) > 0:
		err = errors.New("NodeChecks and ServiceChecks must be empty")
	case e.Node != s.opts.Node:
		err = fmt.Errorf("Node is %q, must be Options.Node %q", e.Node, s.opts.Node)
	default:
		return ttl, nil
	}
	return 0, fmt.Errorf("%w: session's %w", adapters.ErrInvalid, err)
}

// Revoke destroys the session, and with it its keys.
func (s *Store) Revoke(ctx context.Context, id adapters.LeaseID) error {
	if ctx.Err() != nil {
		return fmt.Errorf("consul: revoke %s: %w", id, context.Cause(ctx))
	}
	if !isUUID(id) {
		return nil
	}
	if err := s.destroy(ctx, string(id)); err != nil {
		return fmt.Errorf("consul: revoke %s: %w", id, err)
	}
	s.life.set(string(id), false)
	return nil
}

func (s *Store) destroy(ctx context.Context, id string) error {
	return s.once(ctx, true, func(ctx context.Context, c *api.Client) error {
		_, err := c.Raw().Write("/v1/session/destroy/"+id, nil, nil, new(api.WriteOptions).WithContext(ctx))
		return err
	})
}

// isUUID tells ids that Consul could have made. Others would be part of a path.
func isUUID(id adapters.LeaseID) bool {
	if len(id) != 36 {
		return false
	}
	for i, c := range id {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
