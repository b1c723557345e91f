// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/session"
)

// TestRightWithdrawn: a session whose credentials lose their rights is trusted
// until its lease may end, says then what was missing, and is over for good.
func TestRightWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{TTL: 10 * time.Second})
		inc := current(t, s)
		missing := errors.Join(adapters.ErrDenied, errors.New("session:write"))
		b.faults.Inject(func(adaptertest.Call) bool { return true }, adaptertest.Fault{Err: missing})
		withdrawn := time.Now()
		<-inc.Context().Done()
		require.Greater(t, time.Since(withdrawn), 5*time.Second, "the lease is there still")
		require.Less(t, time.Since(withdrawn), 10*time.Second)
		for _, err := range []error{context.Cause(inc.Context()), inc.Check()} {
			require.ErrorIs(t, err, session.ErrLost)
			require.ErrorIs(t, err, adapters.ErrDenied)
			require.ErrorContains(t, err, "session:write")
		}
		<-s.Done() // no new lease can be had, now or ever
		require.ErrorIs(t, s.Err(), session.ErrClosed)
		require.ErrorIs(t, s.Err(), adapters.ErrDenied)
		require.Less(t, time.Since(withdrawn), 11*time.Second)
		require.NoError(t, s.Close())
	})
}
