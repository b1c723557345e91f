// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/quorate/quorate/adapters"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// errBehind is why a renewal does not count that a member answered which does
// not know yet what others knew before it.
var errBehind = errors.New("the member that answered is behind the others")

// errOutdated is why one does not count that had no time for what it found to do.
var errOutdated = errors.New("etcd has a new leader, and the keys have to move to a lease of its own")

// A leader of etcd that was frozen past a TTL and wakes up still believes that
// it leads. It finds leases that nobody has renewed with it, and has them ended:
// its request is passed on to the leader that was elected meanwhile, and is
// carried out, although that one has renewed them all the time. So a lease is
// safe from all leaders that knew of it only until a TTL after the last renewal
// that each of them had. That is known of the last leader alone, by the term
// that comes with each answer.
//
// Hence, when the term has grown, the keys move to a lease that was granted after
// that, of which no earlier leader can know. Until they have, no renewal counts,
// so the owner trusts the lease until a TTL after the last one in the old term:
// a woken leader ends nothing before that.

// outdated says whether the keys of a grant have to move, or are on their way.
func (s *Store) outdated(g *grant) bool {
	s.grants.mu.RLock()
	defer s.grants.mu.RUnlock()
	return g.next != 0 || s.term.Load() > g.term
}

// move moves the keys of a grant to a lease of the present leader's. What it has
// done when it fails, the next one goes on with. A key that comes to the old lease
// after the last look at it is one that its owner put there without a condition
// on a key that was moved; package session makes no such write. Only the owner
// renews: somebody else who needs a key to arrive would keep a dead owner alive.
func (s *Store) move(ctx context.Context, g *grant, renew bool) error {
	if err := g.take(ctx); err != nil {
		return err
	}
	defer g.give()
	if g.over {
		return rpctypes.ErrLeaseNotFound
	}
	if !s.outdated(g) {
		return nil
	}
	// There are some calls to make, and a member that hangs gets its share. Where
	// all of them are slow instead, tries that are given up early never end: so
	// every fourth one is patient.
	each := s.patience
	if deadline, ok := ctx.Deadline(); ok {
		each = min(each, time.Until(deadline)/6)
	}
	if g.tries++; g.tries%4 == 0 {
		each *= 4
	}
	m := &mover{s, g, each}
	if err := m.all(ctx, renew); err != nil {
		return err
	}
	g.tries = 0
	return nil
}

// A mover is one try to move the keys of a grant, by who has the turn.
type mover struct {
	*Store
	*grant
	each time.Duration // how long one call may take
}

func (m *mover) all(ctx context.Context, renew bool) error {
	if err := m.begin(ctx); err != nil {
		return fmt.Errorf("ask for another lease: %w", err)
	}
	if renew && time.Since(m.kept) > time.Duration(m.seconds)*time.Second/6 {
		if err := m.renewBoth(ctx); err != nil {
			return err
		}
		m.kept = time.Now()
	}
	for {
		keys, err := m.left(ctx)
		if err != nil {
			return fmt.Errorf("look for keys to move: %w", err)
		}
		if len(keys) == 0 {
			break
		}
		// Each key is in a condition and in a write.
		for some := range slices.Chunk(keys, limits.MaxOps/2) {
			if err := m.some(ctx, some); err != nil {
				return fmt.Errorf("move keys to another lease: %w", err)
			}
		}
	}
	m.end()
	return nil
}

// insist makes a call that may be made again until ctx ends, each time for so
// long: the client's balancer then places it on another member.
func insist[T any](ctx context.Context, each time.Duration, call func(context.Context) (T, error)) (T, error) {
	for {
		try, cancel := context.WithTimeout(ctx, each)
		answer, err := call(try)
		late := try.Err() != nil
		cancel()
		if err == nil || !late || ctx.Err() != nil {
			return answer, rpctypes.Error(err)
		}
	}
}

// begin has a lease granted that the keys are to move to. It is asked for by a
// number of ours, so that asking twice makes one.
func (m *mover) begin(ctx context.Context) error {
	if m.next != 0 {
		return nil
	}
	if m.grant.ask == 0 {
		m.grants.mu.Lock()
		m.grant.ask, m.then = newID(), m.Store.term.Load()
		m.grants.mu.Unlock()
	}
	resp, err := insist(ctx, m.each, func(ctx context.Context) (*pb.LeaseGrantResponse, error) {
		return m.leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: m.seconds, ID: m.grant.ask}, grpc.WaitForReady(true))
	})
	switch {
	case err == nil:
		m.note(resp.Header)
	case !errors.Is(err, rpctypes.ErrLeaseExist):
		return err
	}
	m.grants.mu.Lock()
	defer m.grants.mu.Unlock()
	m.next, m.grant.ask = m.grant.ask, 0
	m.kept = time.Now() // that one is fresh, and the other is not much older than usual
	m.moves++
	if m.grants.by[m.id] == m.grant {
		m.grants.by[m.next] = m.grant
	}
	m.grants.step()
	return nil
}

// renewBoth renews the lease that the keys hang on and the one they move to.
func (m *mover) renewBoth(ctx context.Context) error {
	for _, id := range []int64{m.grant.cur, m.next} {
		seconds, err := insist(ctx, m.each, func(ctx context.Context) (int64, error) {
			seconds, _, err := m.Store.renew(ctx, id)
			return seconds, err
		})
		if err == nil && seconds <= 0 || errors.Is(err, rpctypes.ErrLeaseNotFound) {
			err = m.gone(ctx, id, m.least(id))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *mover) end() {
	m.grants.mu.Lock()
	defer m.grants.mu.Unlock()
	if m.prev != m.id {
		delete(m.grants.by, m.prev)
	}
	m.prev, m.grant.cur, m.grant.term = m.grant.cur, m.next, m.then
	m.next, m.then = 0, 0
	for key, a := range m.grants.alias {
		if a.of == m.grant && a.move != m.moves {
			delete(m.grants.alias, key) // it is there no more
		}
	}
	m.grants.step()
}

// left lists the keys that have not moved yet, or of which that is not known.
func (m *mover) left(ctx context.Context) ([]string, error) {
	resp, err := insist(ctx, m.each, func(ctx context.Context) (*pb.LeaseTimeToLiveResponse, error) {
		return m.leases.LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: m.grant.cur, Keys: true}, grpc.WaitForReady(true))
	})
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		err = m.gone(ctx, m.grant.cur, m.grant.term)
	}
	if err != nil {
		return nil, err
	}
	m.note(resp.Header)
	switch {
	case resp.Header.GetRaftTerm() < m.then:
		return nil, errBehind // it may not know of all keys
	case resp.TTL < 0:
		return nil, m.gone(ctx, m.grant.cur, m.grant.term)
	}
	keys := slices.Collect(maps.Keys(m.sent))
	for _, key := range resp.Keys {
		if _, ok := m.sent[string(key)]; !ok {
			keys = append(keys, string(key))
		}
	}
	return keys, nil
}

// some moves some keys in one step, if none of them changes meanwhile.
func (m *mover) some(ctx context.Context, keys []string) error {
	gets := make([]clientv3.Op, len(keys))
	for i, key := range keys {
		gets[i] = clientv3.OpGet(key) // with keys only, etcd leaves out the lease
	}
	resp, err := insist(ctx, m.each, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return m.kv.Txn(ctx).Then(gets...).Commit()
	})
	if err != nil {
		return err
	}
	var conds []clientv3.Cmp
	var puts []clientv3.Op
	var those []*mvccpb.KeyValue
	for i, key := range keys {
		kvs := resp.Responses[i].GetResponseRange().GetKvs()
		was, sent := m.sent[key]
		switch {
		case len(kvs) == 0:
			m.drop(key) // deleted
		case kvs[0].Lease == m.next && sent && kvs[0].CreateRevision == was.created && kvs[0].Version == was.version+1:
			m.grants.moved(m.grant, key, was.mod, kvs[0].ModRevision) // an earlier try was applied
		case kvs[0].Lease != m.grant.cur:
			m.drop(key) // its owner has written it since
		default:
			those = append(those, kvs[0])
			conds = append(conds, clientv3.Compare(clientv3.ModRevision(key), "=", kvs[0].ModRevision))
			puts = append(puts, clientv3.OpPut(key, "", clientv3.WithIgnoreValue(), clientv3.WithLease(clientv3.LeaseID(m.next))))
		}
	}
	if len(puts) == 0 {
		return nil
	}
	m.grants.mu.Lock()
	for _, kv := range those {
		m.sent[string(kv.Key)] = before{kv.CreateRevision, kv.ModRevision, kv.Version}
	}
	m.grants.step()
	m.grants.mu.Unlock()
	// A try after one that was applied fails, and is found out by the next look.
	done, err := insist(ctx, m.each, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return m.kv.Txn(ctx).If(conds...).Then(puts...).Commit()
	})
	if err != nil {
		return err
	}
	m.note(done.Header)
	for _, kv := range those {
		if done.Succeeded {
			m.grants.moved(m.grant, string(kv.Key), kv.ModRevision, done.Header.GetRevision())
		} // else some have changed, perhaps by a try before: they are looked at again
	}
	return nil
}

func (m *mover) drop(key string) {
	m.grants.mu.Lock()
	defer m.grants.mu.Unlock()
	delete(m.sent, key)
}

// least is the term that a member must have heard of to know a lease.
func (m *mover) least(id int64) uint64 {
	if id == m.next {
		return m.then
	}
	return m.grant.term
}

// arrived brings moves to their end that tx depends on: of keys that have to hang
// on a certain lease, and of keys that may have been moved without its being known.
// It says whether there were any. What is wrong with another owner's lease is not
// passed on as if it were wrong with the one that tx is about.
func (s *Store) arrived(ctx context.Context, tx adapters.Tx) (some bool, err error) {
	for _, g := range s.grants.inTheWay(tx) {
		err := s.move(ctx, g, false)
		switch {
		case err == nil:
		case g.names(tx):
			return true, err
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			s.grants.forget(g.id) // its keys have gone, or go
		default:
			return true, fmt.Errorf("another owner's keys are on their way: %v", err)
		}
		some = true
	}
	return some, nil
}
