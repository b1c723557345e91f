// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/etcd"
)

// A place is where a run takes place: how each of its processes connects. One
// of the two is set.
type place struct {
	Etcd   *clientv3.ConfigSpec `json:",omitempty"`
	Consul *consulSpec          `json:",omitempty"`
}

// open makes a Store on a client of its own, and a function that ends the client.
func (p place) open() (adapters.Store, func() error, error) {
	if p.Consul != nil {
		return p.Consul.open()
	}
	cfg, err := config(*p.Etcd)
	if err != nil {
		return nil, nil, err
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("etcd: %w", err)
	}
	store, err := etcd.New(client, nil)
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return store, client.Close, nil
}
