// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/consul/api"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"github.com/quorate/quorate/chaos/history"
)

func isPeer(plant string) bool { return plant == plantMutex || plant == plantLock }

var errTheirsLost = errors.New("lost, they say")

// workAsPeer is the life of a client that uses what the backend's own library
// brings, and nothing of ours.
func workAsPeer(ctx context.Context, o orders, log *history.Writer) error {
	guard, err := dialResource(o.Resource)
	if err != nil {
		return err
	}
	c := &client{orders: o, log: log, resource: guard}
	c.works(ctx)
	log.Tell(history.Event{What: history.End})
	return guard.Close()
}

// useTheirMutex is a keeper with a mutex of etcd's client, on a session of its own:
// two of one session are one to it.
func useTheirMutex(ctx context.Context, c *client, rng *rand.Rand) {
	cl, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints, Logger: zap.NewNop()})
	if err != nil {
		panic(err)
	}
	defer cl.Close()
	for ctx.Err() == nil {
		s, err := concurrency.NewSession(cl, concurrency.WithTTL(int(c.TTL/time.Second)))
		if err != nil {
			pause(ctx, 100*time.Millisecond)
			continue
		}
		c.tellState(s.Done())
		for ctx.Err() == nil && s.Ctx().Err() == nil {
			name := keptName(rng, plantedNames)
			_ = c.take(ctx, ctx, rng, turn{name: name, lock: theirMutex(s, c.Prefix+"/"+name), work: between(rng, keptFrom*c.TTL, keptTo*c.TTL), every: keeperAsks})
		}
		s.Orphan()
		ended, cancel := context.WithTimeout(context.Background(), time.Second)
		_, _ = cl.Revoke(ended, s.Lease())
		cancel()
	}
}

// tellState tells how a session of theirs stands.
func (c *client) tellState(lost <-chan struct{}) {
	c.log.Tell(history.Event{What: history.State, Value: "active"})
	go func() {
		<-lost
		c.log.Tell(history.Event{What: history.State, Value: "lost", Err: errTheirsLost.Error()})
	}()
}

func theirMutex(s *concurrency.Session, key string) func(context.Context) (held, error) {
	return func(ctx context.Context) (held, error) {
		m := concurrency.NewMutex(s, key)
		if err := m.Lock(ctx); err != nil {
			return nil, err
		}
		return &theirs{
			lost: s.Done(), ctx: s.Ctx(), token: uint64(m.Header().Revision),
			give: func() error {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				return m.Unlock(ctx)
			},
		}, nil
	}
}

// useTheirLock is a keeper with the lock of Consul's client.
func useTheirLock(ctx context.Context, c *client, rng *rand.Rand) {
	cfg := api.DefaultConfig()
	cfg.Address = c.Endpoints[0]
	cl, err := api.NewClient(cfg)
	if err != nil {
		panic(err)
	}
	defer cfg.Transport.CloseIdleConnections()
	for n := 0; ctx.Err() == nil; n++ {
		name := keptName(rng, plantedNames)
		// The value tells one hold from another.
		value := fmt.Sprintf("%s %d %d", c.Proc, rng.Uint64(), n)
		_ = c.take(ctx, ctx, rng, turn{name: name, lock: c.theirLock(cl, c.Prefix+"/"+name, value), work: between(rng, keptFrom*c.TTL, keptTo*c.TTL), every: keeperAsks})
	}
}

func (c *client) theirLock(cl *api.Client, key, value string) func(context.Context) (held, error) {
	return func(ctx context.Context) (held, error) {
		l, err := cl.LockOpts(&api.LockOptions{
			Key: key, Value: []byte(value), LockDelay: time.Millisecond,
			SessionOpts: &api.SessionEntry{Name: c.Proc, TTL: c.TTL.String(), LockDelay: time.Millisecond},
			SessionTTL:  c.TTL.String(),
		})
		if err != nil {
			return nil, err
		}
		lost, err := l.Lock(ctx.Done())
		if err != nil {
			return nil, err
		}
		if lost == nil {
			return nil, context.Cause(ctx) // nil, nil is how it says that it was stopped
		}
		// It has no token. Where the key was put on the session does for one: it
		// grows, and is that of one hold alone.
		asked, cancel := context.WithTimeout(ctx, c.TTL)
		defer cancel()
		kv, _, err := cl.KV().Get(key, (&api.QueryOptions{RequireConsistent: true}).WithContext(asked))
		if err == nil && (kv == nil || string(kv.Value) != value || kv.Session == "") {
			err = errTheirsLost
		}
		if err != nil {
			return nil, errors.Join(err, l.Unlock())
		}
		done, end := context.WithCancelCause(context.Background())
		go func() {
			<-lost
			end(errTheirsLost)
		}()
		return &theirs{lost: lost, ctx: done, token: kv.ModifyIndex, give: l.Unlock}, nil
	}
}

// theirs is a lock of theirs that is held, as far as they say.
type theirs struct {
	lost  <-chan struct{}
	ctx   context.Context
	token uint64
	give  func() error
}

func (h *theirs) Check() error {
	select {
	case <-h.lost:
		return errTheirsLost
	default:
		return nil
	}
}

func (h *theirs) Token() uint64            { return h.token }
func (h *theirs) Context() context.Context { return h.ctx }
func (h *theirs) Unlock() error            { return h.give() }
