// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// TestVerbatimNameThatEndsInSlash: others put their slots below "name/", so
// for "k/" that is "k//". Whoever cannot stand there has to say so; two holders
// of one name there must not be.
func TestVerbatimNameThatEndsInSlash(t *testing.T) {
	w := newBench(t, servers.StartEtcd(t, 1))
	const key = "k/"
	theirs := concurrency.NewMutex(w.theirs(), key)
	require.NoError(t, theirs.Lock(w.within()))
	m, err := mutex.New(w.ours(session.Options{}), key, &mutex.Options{Verbatim: true})
	if err != nil {
		require.ErrorIs(t, err, adapters.ErrInvalid)
		return
	}
	hold, err := m.TryLock(w.within())
	if err == nil {
		defer func() { _ = hold.Unlock() }()
	}
	require.ErrorIs(t, err, mutex.ErrLocked, "two holders of %q", key)
	require.Nil(t, hold)
}
