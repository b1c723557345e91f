// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/adapters/etcd"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

var oursOnEtcd = &kind{name: "Quorate on etcd", backend: "etcd", ours: true, queues: true, open: func(at site) (contender, error) {
	client, err := dialEtcd(at)
	if err != nil {
		return nil, err
	}
	store, err := etcd.New(client.Client, &etcd.Options{ProbeEvery: 600 * time.Millisecond})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return openOurs(at, store, client.Close, client.watches.Load)
}}

var oursOnConsul = &kind{name: "Quorate on Consul", backend: "consul", ours: true, queues: true, open: func(at site) (contender, error) {
	var clients []*api.Client
	var transports []*http.Transport
	for _, e := range at.Endpoints {
		cfg := api.DefaultConfig()
		cfg.Address, cfg.Token = hostOf(e), at.Token
		client, err := api.NewClient(cfg)
		if err != nil {
			return nil, err
		}
		clients, transports = append(clients, client), append(transports, cfg.Transport)
	}
	store, err := consul.New(clients[0], &consul.Options{
		MinTTL:     100 * time.Millisecond, // as the server has it here
		Failover:   clients[1:],
		ProbeEvery: 600 * time.Millisecond,
		MaxCalls:   4, // many processes' worth of clients share one address here
		MaxPolls:   2,
	})
	if err != nil {
		return nil, err
	}
	return openOurs(at, store, func() error {
		for _, t := range transports {
			t.CloseIdleConnections()
		}
		return nil
	}, nil)
}}

// ours is one session of ours.
type ours struct {
	session     *session.Session
	mutex       *mutex.Mutex
	closeClient func() error
	watches     func() int64 // nil: they are not counted
	before      atomic.Int64
}

func openOurs(at site, store adapters.Store, closeClient func() error, watches func() int64) (contender, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := session.Open(ctx, store, &session.Options{Prefix: at.Prefix, TTL: at.TTL, Margin: at.Margin})
	if err != nil {
		return nil, errors.Join(err, closeClient())
	}
	m, err := mutex.New(s, at.Name, nil)
	if err != nil {
		return nil, errors.Join(err, s.Close(), closeClient())
	}
	return &ours{session: s, mutex: m, closeClient: closeClient, watches: watches}, nil
}

func (o *ours) lock(ctx context.Context) (hold, error) {
	if o.watches != nil {
		o.before.Store(o.watches())
	}
	h, err := o.mutex.Lock(ctx)
	if err != nil {
		return nil, err
	}
	return ourHold{h}, nil
}

func (o *ours) lease() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	inc, err := o.session.Current(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprint(inc.Lease()), nil
}

func (o *ours) waits() bool { return o.watches == nil || o.watches() > o.before.Load() }

func (o *ours) close() error { return errors.Join(o.session.Close(), o.closeClient()) }

type ourHold struct{ *mutex.Hold }

func (h ourHold) check() error                 { return h.Check() }
func (h ourHold) token() uint64                { return h.Token() }
func (h ourHold) unlock(context.Context) error { return h.Unlock() }
