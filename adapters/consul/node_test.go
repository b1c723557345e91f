// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/stretchr/testify/require"
)

// until asks for leases, one each d, until it gets one, and returns when that
// was and how many were refused.
func until(t *testing.T, store *consul.Store, ttl, d time.Duration) (at time.Time, refused int) {
	for {
		lease, err := store.Grant(t.Context(), ttl)
		if err == nil && lease.TTL == max(ttl, 10*time.Second) {
			return time.Now(), refused
		}
		if !strings.Contains(fmt.Sprint(err), `catalog node "quorate" was deregistered: leases are granted again in `) {
			t.Errorf("grant of %v: %v, %v", ttl, lease, err)
			return time.Time{}, refused
		}
		refused++
		time.Sleep(d)
	}
}

// TestNodeRemoved: all leases ended at once, and whoever had one may trust it
// still. So nobody gets a new one before the longest of them has run out.
func TestNodeRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var log bytes.Buffer
		store := f.store(t, consul.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		short, err := store.Grant(t.Context(), 10*time.Second)
		require.NoError(t, err)
		_, err = store.Grant(t.Context(), time.Minute)
		require.NoError(t, err)

		f.deregister("quorate")
		before := f.note(t)
		_, err = store.Renew(t.Context(), short.ID)
		require.ErrorIs(t, err, adapters.ErrLeaseLost)
		time.Sleep(5 * time.Minute) // which nobody saw pass

		start := time.Now()
		at, refused := until(t, store, 10*time.Second, 7*time.Second)
		require.GreaterOrEqual(t, at.Sub(start), time.Minute)
		require.Less(t, at.Sub(start), time.Minute+8*time.Second)
		require.Equal(t, 9, refused)
		require.Contains(t, log.String(), "the catalog node of all leases was deregistered")
		require.Len(t, f.living(), 1, "what was made meanwhile is taken back")
		require.Equal(t, float64(f.nodes["quorate"].CreateIndex), f.note(t)["node"])
		require.NotEqual(t, before["node"], f.note(t)["node"])
		require.Equal(t, 60_000.0, f.note(t)["ttl_ms"])

		// From then on everything is as before, for whoever comes.
		for range 3 {
			at, _ = until(t, f.store(t, consul.Options{}), time.Minute, time.Second)
			require.Less(t, time.Since(at), time.Second)
		}
	})
}

// TestNodeRemovedTwice: the second removal ends the waiting for the first one,
// and begins its own.
func TestNodeRemovedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		store := f.store(t, consul.Options{})
		_, err := store.Grant(t.Context(), time.Minute)
		require.NoError(t, err)
		for range 3 {
			f.deregister("quorate")
			_, err = store.Grant(t.Context(), time.Minute)
			require.Error(t, err)
			time.Sleep(50 * time.Second)
		}
		f.deregister("quorate")
		start := time.Now()
		at, _ := until(t, store, time.Minute, time.Second)
		require.GreaterOrEqual(t, at.Sub(start), time.Minute)
	})
}

// TestTwoProcesses: each counts from when it saw the node's new life, and the
// first one that has waited long enough ends the waiting for all.
func TestTwoProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		one, two := f.store(t, consul.Options{}), f.store(t, consul.Options{})
		for _, store := range []*consul.Store{one, two} {
			_, err := store.Grant(t.Context(), time.Minute)
			require.NoError(t, err)
		}
		f.deregister("quorate")
		start := time.Now()
		late := f.store(t, consul.Options{}) // a process that starts now, and is alone with what it knows
		var all sync.WaitGroup
		ended := make([]time.Time, 3)
		for i, store := range []*consul.Store{one, two, late} {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 25 * time.Second)
				ended[i], _ = until(t, store, 10*time.Second, 500*time.Millisecond)
			})
		}
		all.Wait()
		for _, at := range ended {
			require.GreaterOrEqual(t, at.Sub(start), time.Minute)
			require.Less(t, at.Sub(start), 62*time.Second)
		}
		require.Equal(t, 60_000.0, f.note(t)["ttl_ms"])
	})
	// Who has not seen how long it was waits himself.
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		_, err := f.store(t, consul.Options{}).Grant(t.Context(), time.Minute)
		require.NoError(t, err)
		f.deregister("quorate")
		f.register(api.CatalogRegistration{Node: "quorate", NodeMeta: map[string]string{"quorate": "leases"}})
		time.Sleep(time.Hour)
		start := time.Now()
		at, _ := until(t, f.store(t, consul.Options{}), 10*time.Second, time.Second)
		require.GreaterOrEqual(t, at.Sub(start), time.Minute)
	})
}

// TestLongerWhileWaiting: a lease that is longer than all before is asked for
// while leases wait. The next waiting is for that one, too.
func TestLongerWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		store := f.store(t, consul.Options{})
		_, err := store.Grant(t.Context(), 10*time.Second)
		require.NoError(t, err)
		f.deregister("quorate")
		start := time.Now()
		at, _ := until(t, store, time.Hour, time.Second)
		require.Less(t, at.Sub(start), 12*time.Second, "nobody had one of an hour")
		require.Equal(t, 3_600_000.0, f.note(t)["ttl_ms"])
		f.deregister("quorate")
		start = time.Now()
		at, _ = until(t, store, 10*time.Second, time.Minute)
		require.GreaterOrEqual(t, at.Sub(start), time.Hour)
	})
}

// TestAdoptedWhileWaiting: a session that somebody else made on the node's new
// life is no way around the waiting.
func TestAdoptedWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		_, err := f.store(t, consul.Options{}).Grant(t.Context(), time.Minute)
		require.NoError(t, err)
		f.deregister("quorate")
		f.register(api.CatalogRegistration{Node: "quorate", NodeMeta: map[string]string{"quorate": "leases"}})
		f.change(func() {
			f.sessions[string(leaseA)] = &api.SessionEntry{ID: string(leaseA), Node: "quorate", TTL: "10s", Behavior: "delete"}
		})
		adopts := f.store(t, consul.Options{})
		for range 10 {
			_, err = adopts.Renew(t.Context(), leaseA)
			require.ErrorContains(t, err, "was deregistered")
			require.NotErrorIs(t, err, adapters.ErrLeaseLost)
			time.Sleep(5 * time.Second)
		}
		time.Sleep(11 * time.Second)
		_, err = adopts.Renew(t.Context(), leaseA)
		require.NoError(t, err)
	})
}

// TestFirstGrantsRace: many processes grant their first lease at once, and each
// is told by the store that another one was faster.
func TestFirstGrantsRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var all sync.WaitGroup
		for i := range 20 {
			store := f.store(t, consul.Options{})
			all.Go(func() {
				ttl := time.Duration(10+i) * time.Second
				if lease, err := store.Grant(t.Context(), ttl); err != nil || lease.TTL != ttl {
					t.Errorf("grant of %v: %v, %v", ttl, lease, err)
				}
			})
		}
		all.Wait()
		require.Len(t, f.living(), 20)
		require.Equal(t, 29_000.0, f.note(t)["ttl_ms"], "the longest counts, whoever came last")
		require.Less(t, f.count(""), 20*30)
	})
	// The same when leases are granted again.
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		store := f.store(t, consul.Options{})
		_, err := store.Grant(t.Context(), 10*time.Second)
		require.NoError(t, err)
		f.deregister("quorate")
		_, err = store.Grant(t.Context(), 10*time.Second)
		require.Error(t, err)
		time.Sleep(11 * time.Second)
		lost := 0
		f.on(txnCall, func(_ context.Context, c call) (*http.Response, error) {
			if strings.Contains(c.body, string(api.KVSet)) && lost < 3 {
				lost++
				return reply(409, `{"Errors":[{"OpIndex":0,"What":"failed index check for key \"quorate/node\", current modify index 9 != 7"}]}`), nil
			}
			return nil, nil
		})
		_, err = store.Grant(t.Context(), 10*time.Second)
		require.NoError(t, err)
		require.Equal(t, 3, lost)
	})
}

// TestNodeGoesDuringGrant: the node is removed between the steps of a Grant. The
// lease is dead, or of the life that the note is about.
func TestNodeGoesDuringGrant(t *testing.T) {
	for steps := range 8 {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			store := f.store(t, consul.Options{})
			left := steps
			f.scripted(func(context.Context, call) (*http.Response, error) {
				if left--; left == 0 {
					f.deregister("quorate")
				}
				return nil, nil
			})
			lease, err := store.Grant(t.Context(), 10*time.Second)
			f.scripted(nil)
			if err != nil {
				require.Empty(t, f.living())
				at := time.Now()
				next, refused := until(t, store, 10*time.Second, time.Second)
				if f.note(t) != nil && refused > 0 {
					require.GreaterOrEqual(t, next.Sub(at), 9*time.Second)
				}
				return
			}
			_, err = store.Renew(t.Context(), lease.ID)
			if err == nil {
				require.Equal(t, float64(f.nodes["quorate"].CreateIndex), f.note(t)["node"])
			} else {
				require.ErrorIs(t, err, adapters.ErrLeaseLost)
			}
		})
	}
}
