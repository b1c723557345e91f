// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/internal/servers"
)

// The contract's suite on Consul, as it is run in development, alone and as a
// cluster, whose followers pass on what they are asked.

func TestConsulDev(t *testing.T) {
	t.Parallel()
	consulSuite(t, servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true}))
}

func TestConsulSingle(t *testing.T) {
	t.Parallel()
	consulSuite(t, servers.StartConsul(t, 1))
}

func TestConsulCluster(t *testing.T) {
	t.Parallel()
	consulSuite(t, servers.StartConsul(t, 3))
}

func consulSuite(t *testing.T, c *servers.Consul) {
	busy.Lock()
	defer busy.Unlock()
	var next atomic.Int32
	adaptertest.Run(t, func(t *testing.T) adaptertest.Backend {
		at := int(next.Add(1)) % len(c.Servers())
		store, requests := openConsul(t, c, at, &consul.Options{MinTTL: shortTTL})
		return adaptertest.Backend{Store: store, Calls: requests.calls}
	})
}

// shortTTL is what the servers of package servers grant.
const shortTTL = 500 * time.Millisecond

// requests counts what a client sends.
type requests struct {
	http.RoundTripper
	sent atomic.Int64
}

func (r *requests) RoundTrip(req *http.Request) (*http.Response, error) {
	r.sent.Add(1)
	return r.RoundTripper.RoundTrip(req)
}

func (r *requests) calls() int { return int(r.sent.Load()) }

// openConsul makes a client whose requests are counted, and a Store on it.
func openConsul(t testing.TB, c *servers.Consul, at int, opts *consul.Options) (*consul.Store, *requests) {
	t.Helper()
	cfg := c.Config(at)
	r := &requests{RoundTripper: cfg.Transport}
	cfg.HttpClient = &http.Client{Transport: r}
	t.Cleanup(cfg.Transport.CloseIdleConnections)
	client, err := api.NewClient(cfg)
	require.NoError(t, err)
	store, err := consul.New(client, opts)
	require.NoError(t, err)
	return store, r
}
