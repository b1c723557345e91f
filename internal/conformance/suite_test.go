// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"sync"
	"testing"

	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/embedded"
	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
)

// The contract's suite, on each kind of server that users have. Each rule gets
// a client of its own, so that its calls can be counted.

func TestEtcdInProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts a real etcd")
	}
	t.Parallel()
	srv, err := embedded.Start(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	suite(t, srv.Endpoints())
}

func TestEtcdSingle(t *testing.T) {
	t.Parallel()
	suite(t, servers.StartEtcd(t, 1).Endpoints())
}

func TestEtcdCluster(t *testing.T) {
	t.Parallel()
	suite(t, servers.StartEtcdWith(t, 3, calm).Endpoints())
}

// busy is held by the suite whose rules run one after the other, as fast as
// they can. Those that wait for leases come later, beside the next suite.
var busy sync.Mutex

func suite(t *testing.T, endpoints []string) {
	busy.Lock()
	defer busy.Unlock()
	adaptertest.Run(t, func(t *testing.T) adaptertest.Backend {
		store, _, traffic := open(t, endpoints, nil)
		return adaptertest.Backend{Store: store, Calls: traffic.calls}
	})
}
