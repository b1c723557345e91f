// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/stretchr/testify/require"
)

// A server reads requests from connections and does with each what the test
// wants: it writes an answer, or not, and says whether the connection stays.
type server struct {
	addr     string
	requests atomic.Int64
	conns    atomic.Int64
}

func serve(t *testing.T, handle func(n int64, w io.Writer) (stay bool)) *server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{addr: l.Addr().String()}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			open.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(t.Context(), func() { _ = conn.Close() })()
				for r := bufio.NewReader(conn); ; {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					if _, err := io.ReadAll(req.Body); err != nil {
						return
					}
					if !handle(s.requests.Add(1), conn) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); open.Wait() })
	return s
}

// dial makes a Store that uses real connections, and keeps them.
func dial(t *testing.T, addr string) *consul.Store {
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	c, err := api.NewClient(&api.Config{Address: addr, HttpClient: &http.Client{Transport: transport}})
	require.NoError(t, err)
	store, err := consul.New(c, nil)
	require.NoError(t, err)
	return store
}

const (
	applied = `{"Results":[{"KV":{"Key":"a/k","CreateIndex":9,"ModifyIndex":9}}],"Errors":null}`
	whole   = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 80\r\n\r\n" + applied
)

func TestRefusedConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = dial(t, l.Addr().String()).Commit(t.Context(), write)
	only(t, err, nil, "nobody was reached")
	require.ErrorContains(t, err, "connection refused")
}

// TestCutConnection: the request was there, the answer was not.
func TestCutConnection(t *testing.T) {
	require.Len(t, applied, 80)
	for what, sent := range map[string]string{
		"before an answer": "",
		"in the headers":   whole[:30],
		"in the body":      whole[:len(whole)-9],
	} {
		s := serve(t, func(_ int64, w io.Writer) bool {
			_, _ = io.WriteString(w, sent)
			return false
		})
		_, err := dial(t, s.addr).Commit(t.Context(), write)
		only(t, err, adapters.ErrUnknown, what)
		require.EqualValues(t, 1, s.requests.Load(), what)
	}
}

// TestKeptConnection: net/http makes a request again by itself if a connection
// turns out to be dead that was used before. Not this one, once it was sent.
func TestKeptConnection(t *testing.T) {
	s := serve(t, func(n int64, w io.Writer) bool {
		if n%2 == 0 {
			return false
		}
		_, _ = io.WriteString(w, whole)
		return true
	})
	store := dial(t, s.addr)
	const rounds = 20
	for range rounds {
		_, err := store.Commit(t.Context(), write)
		require.NoError(t, err)
		_, err = store.Commit(t.Context(), write)
		only(t, err, adapters.ErrUnknown, "cut after it was received")
	}
	require.EqualValues(t, 2*rounds, s.requests.Load(), "each is sent once")
	require.EqualValues(t, rounds, s.conns.Load(), "connections were kept, or the test shows nothing")
}

// TestClosedIdleConnection: the agent closes a connection that is kept, while
// the next request may be on its way.
func TestClosedIdleConnection(t *testing.T) {
	s := serve(t, func(_ int64, w io.Writer) bool {
		_, _ = io.WriteString(w, whole)
		return false
	})
	store := dial(t, s.addr)
	for range 200 {
		before := s.requests.Load()
		_, err := store.Commit(t.Context(), write)
		if err != nil {
			only(t, err, adapters.ErrUnknown, "closed")
			require.LessOrEqual(t, s.requests.Load()-before, int64(1))
		} else {
			require.EqualValues(t, 1, s.requests.Load()-before)
		}
	}
}

// TestContextEndsInTransit: net/http reports the cause of a context as the error
// of the request. It is no answer, whatever it is.
func TestContextEndsInTransit(t *testing.T) {
	for what, sent := range map[string]string{
		"before an answer": "",
		"in the body":      whole[:len(whole)-9],
	} {
		received := make(chan bool, 1)
		s := serve(t, func(_ int64, w io.Writer) bool {
			_, _ = io.WriteString(w, sent)
			received <- true
			<-t.Context().Done()
			return false
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { <-received; cancel(adapters.ErrLeaseLost) }()
		_, err := dial(t, s.addr).Commit(ctx, write)
		require.ErrorIs(t, err, adapters.ErrUnknown, what)
		require.ErrorIs(t, err, adapters.ErrLeaseLost, what)
		require.EqualValues(t, 1, s.requests.Load())
	}
}

// TestBlackHole: a server that takes connections and never answers ends a call
// when its context does, and no later.
func TestBlackHole(t *testing.T) {
	s := serve(t, func(int64, io.Writer) bool { <-t.Context().Done(); return false })
	store := dial(t, s.addr)
	for _, do := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := store.Read(ctx, "a/k"); return err },
		func(ctx context.Context) error { _, err := store.Commit(ctx, write); return err },
		func(ctx context.Context) error { _, err := store.Renew(ctx, leaseA); return err },
		func(ctx context.Context) error { _, err := store.Grant(ctx, time.Minute); return err },
		func(ctx context.Context) error { return store.Revoke(ctx, leaseA) },
		func(ctx context.Context) (end error) {
			for _, err := range store.Watch(ctx, "a/k") {
				end = err
			}
			return end
		},
	} {
		reason := errors.New("reason")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, reason)
		start := time.Now()
		require.ErrorIs(t, do(ctx), reason)
		require.Less(t, time.Since(start), 5*time.Second)
		cancel()
	}
}
