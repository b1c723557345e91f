// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
)

// consulTTL is what a Consul grants that was told nothing else.
const consulTTL = 10 * time.Second

// A consulSpec is how to reach a Consul. What is not here, tokens and TLS, every
// process takes from the variables of its environment.
type consulSpec struct {
	Addresses []string
	MinTTL    time.Duration
	Node      string // of the catalog, for the leases of this run
}

// readConsul makes the settings of a run on Consul, and says what is wrong with
// the variables, which Consul's own client would not always do.
func (set *settings) readConsul(where string, env lookup) error {
	get := func(name string) string {
		v, _ := env("CONSUL_" + name)
		return v
	}
	set.from = "-consul"
	if where == "env" {
		set.from, where = "CONSUL_HTTP_ADDR", get("HTTP_ADDR")
		if where == "" {
			set.from, where = "-consul env, without CONSUL_HTTP_ADDR", "127.0.0.1:8500"
		}
	}
	for addr := range strings.SplitSeq(where, ",") {
		addr = strings.TrimSpace(addr)
		if err := checkAddress(addr); err != nil {
			return fmt.Errorf("%s: %q: %w", set.from, addr, err)
		}
		set.endpoints = append(set.endpoints, addr)
	}
	set.consul = &consulSpec{Addresses: set.endpoints, MinTTL: min(set.ttl, consulTTL)}

	var errs []error
	for _, name := range []string{"HTTP_SSL", "HTTP_SSL_VERIFY"} {
		if v := get(name); v != "" {
			if _, err := strconv.ParseBool(v); err != nil {
				errs = append(errs, fmt.Errorf("CONSUL_%s: %q: want true or false", name, v))
			}
		}
	}
	for _, name := range []string{"CACERT", "CAPATH", "CLIENT_CERT", "CLIENT_KEY", "HTTP_TOKEN_FILE"} {
		if v := get(name); v != "" {
			if err := readable(v); err != nil {
				errs = append(errs, fmt.Errorf("CONSUL_%s: %w", name, err))
			}
		}
	}
	if (get("CLIENT_CERT") == "") != (get("CLIENT_KEY") == "") {
		errs = append(errs, errors.New("CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY go together"))
	}
	return errors.Join(errs...)
}

func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// checkAddress accepts what Consul's tools accept: URLs, which may have a path,
// and bare host:port.
func checkAddress(addr string) error {
	full := addr
	if !strings.Contains(addr, "://") {
		full = "http://" + addr
	}
	u, err := url.Parse(full)
	switch {
	case err != nil:
		return errors.Unwrap(err)
	case u.Scheme == "unix":
		return nil
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme is %q, want http or https", u.Scheme)
	case u.Hostname() == "" || u.Port() == "" && full != addr:
		return errors.New("want host:port or http(s)://host:port")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("want nothing but scheme, host, port and path")
	}
	return nil
}

// clients makes one for each address, and a function that ends their connections.
func (spec *consulSpec) clients() ([]*api.Client, func(), error) {
	var clients []*api.Client
	var ends []func()
	for _, addr := range spec.Addresses {
		cfg := api.DefaultConfig() // reads the environment
		cfg.Address = addr
		client, err := api.NewClient(cfg)
		if err != nil {
			return nil, nil, fmt.Errorf("Consul at %s: %w", addr, err)
		}
		clients = append(clients, client)
		ends = append(ends, cfg.Transport.CloseIdleConnections)
	}
	return clients, func() {
		for _, end := range ends {
			end()
		}
	}, nil
}

// open makes a Store and a function that ends its connections.
func (spec *consulSpec) open() (adapters.Store, func() error, error) {
	clients, end, err := spec.clients()
	if err != nil {
		return nil, nil, err
	}
	store, err := consul.New(clients[0], &consul.Options{Failover: clients[1:], Node: spec.Node, MinTTL: spec.MinTTL})
	return store, func() error { end(); return nil }, err
}

// forget removes the catalog node of this run and the adapter's key for it. All
// leases on it have to be over. What it may not remove nobody could make.
func (spec *consulSpec) forget(ctx context.Context) error {
	clients, end, err := spec.clients()
	if err != nil {
		return err
	}
	defer end()
	serious := func(err error) error {
		var status api.StatusError
		if errors.As(err, &status) && status.Code == http.StatusForbidden {
			return nil
		}
		return err
	}
	for _, client := range clients { // until one can
		w := new(api.WriteOptions).WithContext(ctx)
		_, errKey := client.KV().Delete(spec.Node+"/node", w)
		_, errNode := client.Catalog().Deregister(&api.CatalogDeregistration{Node: spec.Node}, w)
		if err = errors.Join(serious(errKey), serious(errNode)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("catalog node %s: %w", spec.Node, err)
}

// refused explains an error of Consul's that a user can do something about.
func (spec *consulSpec) refused(err error, prefix string) error {
	kind, _, _ := strings.Cut(prefix, "-")
	switch {
	case errors.Is(err, adapters.ErrDenied):
		return fmt.Errorf("%w\nthe token must be allowed to write all keys, sessions and nodes whose names begin with %q", err, kind+"-")
	case err != nil && strings.Contains(err.Error(), "Invalid Session TTL"):
		return fmt.Errorf("%w\n-ttl is shorter than these servers allow (session_ttl_min)", err)
	}
	return err
}
