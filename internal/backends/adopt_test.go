// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// TestAdoptedLeaseLivesOn: the session that adopted a lease is cut off, loses
// its trust and is over; the lease lives on, because its owner renews it. When
// the session can reach the store again, what it put there has to go, or the
// lock stays taken for as long as the owner lives.
func TestAdoptedLeaseLivesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: waits for leases")
	}
	w := newBench(t, startMemory(t))
	lease, err := w.store.Grant(t.Context(), 2*w.minTTL)
	require.NoError(t, err)
	renewing, stop := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() { // the owner
		defer close(stopped)
		for tick := time.NewTicker(w.minTTL / 4); renewing.Err() == nil; <-tick.C {
			_, _ = w.store.Renew(renewing, lease.ID)
		}
	}()
	defer func() { stop(); <-stopped }()

	net := adaptertest.Wrap(w.open(t))
	s := w.sessionOn(net, session.Options{Lease: lease.ID, TTL: lease.TTL})
	hold := w.lock(s, "l")
	net.Partition(true, true)
	closes(t, hold.Context().Done(), "the end of the hold")
	net.Heal()
	require.ErrorIs(t, hold.Unlock(), session.ErrLost)
	closes(t, s.Done(), "the end of the session")
	require.NoError(t, s.Close())
	_, err = w.store.Renew(t.Context(), lease.ID)
	require.NoError(t, err, "the lease is alive")

	other, err := mutex.New(w.session(session.Options{}), "l", nil)
	require.NoError(t, err)
	free, err := other.Lock(within(t, 3*time.Second))
	require.NoError(t, err, "the slot of a session that is over blocks the lock: %v", w.slots(w.prefix+"/"))
	w.gave(free.Unlock())
}
