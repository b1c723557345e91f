// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"context"
	"testing"
	"time"

	"github.com/quorate/quorate/adapters/embedded"
	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { servers.Main(m) }

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// start starts a server that the test may close earlier than at its end.
func start(t *testing.T, opts *embedded.Options) *embedded.Server {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: needs a real server")
	}
	leak := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leak) })
	begin := time.Now()
	s, err := embedded.Start(within(t, 20*time.Second), opts)
	require.NoError(t, err)
	t.Logf("ready after %v", time.Since(begin))
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *embedded.Server) {
	t.Helper()
	begin := time.Now()
	require.NoError(t, s.Close())
	if d := time.Since(begin); d > time.Millisecond {
		t.Logf("closed after %v", d)
	}
}
