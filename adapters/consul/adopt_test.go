// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
)

// TestAdoptedOnAnotherLife: a session made by hand on the node's new life gives
// nobody a place before the trust in the leases of the old one has run out, also
// in a process that has granted longer leases itself.
func TestAdoptedOnAnotherLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		store := f.store(t, consul.Options{})
		_, err := store.Grant(t.Context(), time.Minute)
		require.NoError(t, err)
		f.deregister("quorate")
		_, err = store.Grant(t.Context(), time.Minute) // makes the node again
		require.Error(t, err)

		id, _, err := client(t, f).Session().CreateNoChecks(&api.SessionEntry{
			Node: "quorate", TTL: "10s", Behavior: api.SessionBehaviorDelete, LockDelay: -1,
		}, nil)
		require.NoError(t, err)
		start := time.Now()
		for {
			if _, err = store.Renew(t.Context(), adapters.LeaseID(id)); err == nil {
				break
			}
			require.ErrorContains(t, err, "was deregistered")
			time.Sleep(time.Second)
		}
		require.GreaterOrEqual(t, time.Since(start), time.Minute)
		calls := f.count("")
		_, err = store.Renew(t.Context(), adapters.LeaseID(id))
		require.NoError(t, err)
		require.Equal(t, calls+1, f.count(""), "asked once")
	})
}
