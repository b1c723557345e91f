// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/session"
)

// TestOpenBeforeTheServers: a program that starts before its servers gets its
// session when they come, on a client that has never had a connection. One that
// does not want to wait is told why it was in vain.
func TestOpenBeforeTheServers(t *testing.T) {
	for name, start := range map[string]func(*testing.T, int) *backend{"etcd": startEtcd, "consul": startConsul} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t, start(t, 1))
			w.servers.Member(0).Kill()

			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			began := time.Now()
			_, err := session.Open(ctx, w.open(t), &session.Options{Prefix: w.prefix, TTL: long})
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "refused", "why it was in vain")
			require.Less(t, time.Since(began), 1300*time.Millisecond)

			net := adaptertest.Wrap(w.open(t))
			tries := make(chan struct{}, 1000)
			net.Inject(func(c adaptertest.Call) bool {
				if c.Method == "Grant" {
					tries <- struct{}{}
				}
				return false
			}, adaptertest.Fault{})
			opened := make(chan *session.Session, 1)
			go func() {
				s, err := session.Open(within(t, patience), net, &session.Options{Prefix: w.prefix, TTL: long})
				if err != nil {
					t.Error(err)
				}
				opened <- s
			}()
			comes(w, tries, "the first try")
			w.servers.Member(0).Restart()
			require.NoError(t, w.servers.Ready(within(t, patience)))
			s := <-opened
			require.NotNil(t, s)
			require.NoError(t, s.Check())
			w.gave(w.lock(s, "l").Unlock())
			require.NoError(t, s.Close())
		})
	}
}
