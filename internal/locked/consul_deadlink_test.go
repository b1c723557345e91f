// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/session"
)

// consulDeadLink lets the connection of a session swallow everything, as a
// router does that has forgotten it. Over HTTPS it is the only connection, and
// requests that are given up leave it as it is; so the client has to look after
// it, as its transport does when it is told to.
func consulDeadLink(t *testing.T, site *consulSite) {
	way := newConsulWay(t, strings.TrimPrefix(site.Member(0).Endpoint(), "https://"))
	cfg := site.Config(0)
	cfg.Address = "https://" + way.listener.Addr().String()
	cfg.Token = site.token(t, site.rules).secret
	cfg.Transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 500 * time.Millisecond, PingTimeout: 500 * time.Millisecond}
	store, _ := site.storeOn(t, cfg, consul.Options{})
	s, err := session.Open(within(t, patience), store, &session.Options{TTL: 3 * consulShort})
	require.NoError(t, err)
	ctx := within(t, patience)
	hold, err := consulMutex(t, s, "dead-link", false).Lock(ctx)
	require.NoError(t, err)
	require.Equal(t, int64(1), way.made.Load())

	way.dead.Store(1)
	require.Eventually(t, func() bool {
		_, err := store.Read(ctx, "quorate/mutex/dead-link/")
		return err == nil
	}, patience, 10*time.Millisecond)
	require.NoError(t, hold.Check(), "soon enough for a lease of 6 s")
	require.NoError(t, hold.Unlock())
	require.NoError(t, s.Close())
	require.Greater(t, way.made.Load(), int64(1))
}

// A consulWay passes connections on, and numbers them.
type consulWay struct {
	listener net.Listener
	made     atomic.Int64
	dead     atomic.Int64 // connections up to that number swallow everything
}

func newConsulWay(t *testing.T, to string) *consulWay {
	host, _, err := net.SplitHostPort(to)
	require.NoError(t, err)
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0")) // the certificate is for this host
	require.NoError(t, err)
	w := &consulWay{listener: l}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); _ = l.Close(); all.Wait() })
	all.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			n := w.made.Add(1)
			all.Go(func() { w.pass(ctx, n, from, to) })
		}
	})
	return w
}

// pass serves connection n until one side ends it, or ctx ends.
func (w *consulWay) pass(ctx context.Context, n int64, from net.Conn, addr string) {
	defer from.Close()
	to, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var both sync.WaitGroup
	one := func(to, from net.Conn) {
		defer cancel()
		_, _ = io.Copy(consulWriter(func(p []byte) (int, error) {
			if n <= w.dead.Load() {
				return len(p), nil
			}
			return to.Write(p)
		}), from)
	}
	both.Go(func() { one(to, from) })
	both.Go(func() { one(from, to) })
	<-ctx.Done()
	_, _ = from.Close(), to.Close()
	both.Wait()
}

type consulWriter func([]byte) (int, error)

func (f consulWriter) Write(p []byte) (int, error) { return f(p) }
