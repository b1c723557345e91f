// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"
	"go.etcd.io/etcd/client/v3/concurrency"
)

var errLost = errors.New("lost")

// theirMutex and theirElection are what etcd's own client brings. A session
// that is not Done is what a user can ask.
var (
	theirMutex = &kind{name: "concurrency.Mutex", backend: "etcd", queues: true, open: func(at site) (contender, error) {
		return openTheirs(at, func(s *concurrency.Session) (func(context.Context) error, func(context.Context) error) {
			m := concurrency.NewMutex(s, at.Name)
			return m.Lock, m.Unlock
		})
	}}
	theirElection = &kind{name: "concurrency.Election", backend: "etcd", queues: true, open: func(at site) (contender, error) {
		return openTheirs(at, func(s *concurrency.Session) (func(context.Context) error, func(context.Context) error) {
			e := concurrency.NewElection(s, at.Name)
			return func(ctx context.Context) error { return e.Campaign(ctx, "me") }, e.Resign
		})
	}}
)

// A taking makes one lock or candidate.
type taking func(*concurrency.Session) (lock, unlock func(context.Context) error)

type theirs struct {
	client  *etcdClient
	session *concurrency.Session
	take    taking
	before  atomic.Int64 // watches that were there when it began to wait
}

func openTheirs(at site, take taking) (contender, error) {
	client, err := dialEtcd(at)
	if err != nil {
		return nil, err
	}
	s, err := concurrency.NewSession(client.Client, concurrency.WithTTL(int(at.TTL/time.Second)))
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &theirs{client: client, session: s, take: take}, nil
}

func (c *theirs) lock(ctx context.Context) (hold, error) {
	c.before.Store(c.client.watches.Load())
	lock, unlock := c.take(c.session)
	if err := lock(ctx); err != nil {
		return nil, err
	}
	return theirHold{c.session, unlock}, nil
}

func (c *theirs) lease() (string, error) { return strconv.FormatInt(int64(c.session.Lease()), 16), nil }
func (c *theirs) waits() bool            { return c.client.watches.Load() > c.before.Load() }

// close ends the session as a user's program does when it ends, but does not
// wait for a server that does not answer.
func (c *theirs) close() error {
	c.session.Orphan()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = c.session.Client().Revoke(ctx, c.session.Lease())
	return c.session.Client().Close()
}

type theirHold struct {
	session *concurrency.Session
	give    func(context.Context) error
}

func (h theirHold) check() error {
	select {
	case <-h.session.Done():
		return errLost
	default:
		return nil
	}
}

func (h theirHold) token() uint64                    { return 0 }
func (h theirHold) unlock(ctx context.Context) error { return h.give(ctx) }

// theirLock is what Consul's own client brings. The channel that Lock returns
// is what a user can ask. Its lock delay is set to next to nothing, or each
// trial would take 15 seconds more.
var theirLock = &kind{name: "api.Lock", backend: "consul", open: func(at site) (contender, error) {
	cfg := api.DefaultConfig()
	cfg.Address, cfg.Token = hostOf(at.Endpoints[0]), at.Token
	c := &apiLock{at: at, owner: at.Name + fmt.Sprint("-", owners.Add(1)), transport: cfg.Transport}
	cfg.HttpClient = &http.Client{Transport: c}
	client, err := api.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	c.client = client
	if at.Shared {
		c.shared, _, err = client.Session().CreateNoChecks(&api.SessionEntry{Name: c.owner, TTL: "20s", LockDelay: time.Millisecond}, nil)
	}
	return c, err
}}

var owners atomic.Int64

type apiLock struct {
	at        site
	owner     string
	client    *api.Client
	transport *http.Transport
	shared    string
	waiting   atomic.Int64 // blocking queries that are on their way
}

// RoundTrip counts queries that wait for the key to change, and tells when the
// lock is about to be taken.
func (c *apiLock) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Query().Has("acquire") && c.at.Acquiring != nil {
		c.at.Acquiring()
	}
	if req.URL.Query().Get("index") != "" {
		c.waiting.Add(1)
		defer c.waiting.Add(-1)
	}
	return c.transport.RoundTrip(req)
}

func (c *apiLock) lock(ctx context.Context) (hold, error) {
	o := &api.LockOptions{Key: c.at.Name, LockDelay: time.Millisecond, SessionName: c.owner, SessionTTL: c.at.TTL.String(), Session: c.shared}
	o.SessionOpts = &api.SessionEntry{Name: c.owner, TTL: c.at.TTL.String(), LockDelay: time.Millisecond}
	l, err := c.client.LockOpts(o)
	if err != nil {
		return nil, err
	}
	lost, err := l.Lock(ctx.Done())
	switch {
	case err != nil:
		return nil, err
	case lost == nil:
		return nil, context.Cause(ctx) // nil, nil is how it says that it was stopped
	}
	return apiHold{l, lost}, nil
}

func (c *apiLock) lease() (string, error) {
	all, _, err := c.client.Session().List(nil)
	for _, s := range all {
		if s.Name == c.owner {
			return s.ID, nil
		}
	}
	return "", errors.Join(err, fmt.Errorf("%s has no session", c.owner))
}

func (c *apiLock) waits() bool { return c.waiting.Load() > 0 }

func (c *apiLock) close() error {
	c.transport.CloseIdleConnections()
	return nil
}

type apiHold struct {
	*api.Lock
	lost <-chan struct{}
}

func (h apiHold) check() error {
	select {
	case <-h.lost:
		return errLost
	default:
		return nil
	}
}

func (h apiHold) token() uint64 { return 0 }

func (h apiHold) unlock(context.Context) error { return h.Unlock() }
