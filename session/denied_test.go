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

// TestRightToWriteWithdrawn: renewals go on, but a slot could not be deleted any
// more, and would block its lock for as long as the session lives.
func TestRightToWriteWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{TTL: 10 * time.Second})
		inc := current(t, s)
		key := inc.NewKey("quorate/x/")
		_, err := inc.Commit(t.Context(), adapters.Tx{
			If:   []adapters.Cond{adapters.Absent(key)},
			Then: []adapters.Op{adapters.PutLeased(key, nil, inc.Lease())},
		})
		require.NoError(t, err)
		missing := errors.Join(adapters.ErrDenied, errors.New("key:write"))
		b.faults.Inject(func(c adaptertest.Call) bool { return c.Method == "Commit" }, adaptertest.Fault{Err: missing})
		require.ErrorIs(t, inc.Remove(key, false, nil), adapters.ErrDenied)
		<-inc.Context().Done()
		require.ErrorIs(t, context.Cause(inc.Context()), session.ErrLost)
		require.ErrorIs(t, context.Cause(inc.Context()), adapters.ErrDenied)
		<-s.Done()
		_, err = s.Current(t.Context())
		require.ErrorIs(t, err, adapters.ErrDenied)
		view, err := b.mem.Read(t.Context(), "quorate/x/")
		require.NoError(t, err)
		require.Empty(t, view.KVs)
		require.NoError(t, s.Close())
	})
}

// A session that may not see its inbox would not learn that its keys are gone.
func TestRightToWatchWithdrawn(t *testing.T) {
	for what, c := range map[string]struct {
		times int
		ends  bool
	}{
		"for good": {0, true},
		"briefly":  {3, false},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				b.faults.Inject(func(c adaptertest.Call) bool { return c.Method == "Watch" }, adaptertest.Fault{Err: adapters.ErrDenied, Times: c.times})
				s := b.open(t, session.Options{TTL: 10 * time.Second})
				inc := current(t, s)
				select {
				case <-inc.Context().Done():
					require.True(t, c.ends)
					require.ErrorIs(t, context.Cause(inc.Context()), adapters.ErrDenied)
				case <-time.After(time.Minute):
					require.False(t, c.ends)
				}
				b.faults.Heal()
				require.NoError(t, s.Close())
			})
		})
	}
}
