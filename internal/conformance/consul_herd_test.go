// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// TestConsulHerd: very many come to one lock at once, which overloads the agent
// for a while. Whoever then takes it for dead, and asks everything anew, makes it
// worse; all have to get through.
func TestConsulHerd(t *testing.T) {
	t.Parallel()
	const processes, each = 20, 8
	c := servers.StartConsul(t, 1)
	got := make(chan error, processes*each)
	var sessions []*session.Session
	for range processes {
		store, err := consul.New(c.Client(t, 0), &consul.Options{MaxCalls: 2, MaxPolls: 2})
		require.NoError(t, err)
		s, err := session.Open(within(t, patience), store, nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		sessions = append(sessions, s)
	}
	began := time.Now()
	for _, s := range sessions {
		m, err := mutex.New(s, "herd", nil)
		require.NoError(t, err)
		for range each {
			go func() {
				h, err := m.Lock(within(t, 3*patience))
				if err == nil {
					err = settled(h.Unlock())
				}
				got <- err
			}()
		}
	}
	for range processes * each {
		require.NoError(t, <-got)
	}
	t.Logf("%d got through in %v", processes*each, time.Since(began).Round(time.Millisecond))
}
