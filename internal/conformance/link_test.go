// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A link is a TCP proxy that can be cut: open connections are reset and new
// ones refused at once. Or it can swallow: everything stays open, and nothing
// passes in either direction.
type link struct {
	addr, target string

	mu        sync.Mutex
	cond      *sync.Cond
	down      bool
	swallowed bool
	conns     map[net.Conn]struct{}
	wg        sync.WaitGroup
}

// proxy starts a link to an endpoint.
func proxy(t *testing.T, endpoint string) *link {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{addr: "http://" + ln.Addr().String(), target: strings.TrimPrefix(endpoint, "http://"), conns: make(map[net.Conn]struct{})}
	l.cond = sync.NewCond(&l.mu)
	l.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			l.wg.Go(func() { l.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		l.swallow(false)
		l.cut(true)
		l.wg.Wait()
	})
	return l
}

func (l *link) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer server.Close()
	if !l.track(client, server) {
		return
	}
	var both sync.WaitGroup
	pipe := func(to, from net.Conn) {
		defer to.Close()
		_, _ = io.Copy(gate{l, to}, from)
	}
	both.Go(func() { pipe(client, server) })
	both.Go(func() { pipe(server, client) })
	both.Wait()
	l.mu.Lock()
	delete(l.conns, client)
	delete(l.conns, server)
	l.mu.Unlock()
}

func (l *link) track(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		l.conns[c] = struct{}{}
	}
	return !l.down
}

// gate lets writes wait while the link swallows.
type gate struct {
	link *link
	to   net.Conn
}

func (g gate) Write(p []byte) (int, error) {
	g.link.mu.Lock()
	for g.link.swallowed && !g.link.down {
		g.link.cond.Wait()
	}
	g.link.mu.Unlock()
	return g.to.Write(p)
}

func (l *link) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	l.cond.Broadcast()
	if down {
		for c := range l.conns {
			_ = c.Close()
		}
	}
}

func (l *link) swallow(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.swallowed = on
	l.cond.Broadcast()
}
