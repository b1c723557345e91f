// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/internal/servers"
)

// warmUp is how long clients work before and after each nemesis.
const warmUp = 2 * time.Second

// TestChaos has clients use all primitives, and each nemesis hit them once.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: waits for leases, on real servers")
	}
	t.Run("etcd", func(t *testing.T) {
		t.Parallel()
		e := servers.StartEtcdWith(t, 3, &servers.Options{Heartbeat: 30 * time.Millisecond, Election: 300 * time.Millisecond})
		all(t, newRun(t, setting{backend: "etcd", cluster: etcdCluster{e}, clients: 5, ttl: 2 * time.Second, seed: 1}))
	})
	t.Run("consul", func(t *testing.T) {
		t.Parallel()
		c := servers.StartConsul(t, 3)
		all(t, newRun(t, setting{backend: "consul", cluster: c, clients: 5, ttl: 2 * time.Second, seed: 1}))
	})
}

// all runs all nemeses of a backend, one after the other.
func all(t *testing.T, r *run) {
	only := os.Getenv("QUORATE_CHAOS_ONLY")
	r.start()
	for _, n := range allNemeses() {
		if n.backend != "" && n.backend != r.backend || only != "" && !strings.Contains(only, n.name) {
			continue
		}
		if n.missing != nil && n.missing(r) != "" {
			t.Logf("%s: not here: %s", n.name, n.missing(r))
			continue
		}
		pause(t.Context(), warmUp)
		began := time.Now()
		n.act(r, n)
		t.Logf("%s: %v", n.name, time.Since(began).Round(time.Millisecond))
	}
	pause(t.Context(), warmUp)
	r.finish()
	h, err := history.Load(r.dir)
	require.NoError(t, err)
	t.Log(len(h.Events), "events", len(h.Places()), "places")
	found := check.All(h, check.Bounds{Liveness: true})
	for _, v := range found {
		t.Error(v)
	}
	if keep := os.Getenv("QUORATE_CHAOS_KEEP"); keep != "" && len(found) > 0 {
		require.NoError(t, os.CopyFS(fmt.Sprintf("%s/%s-%d", keep, r.backend, time.Now().Unix()), os.DirFS(r.dir)))
	}
}
