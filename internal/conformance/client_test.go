// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/etcd"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// traffic counts what a client sends to its servers: unary calls as they leave
// the client's own retries, messages on streams, new watch streams, and
// connections.
type traffic struct {
	unary, sent, watchStreams, conns atomic.Int64
}

func (c *traffic) calls() int { return int(c.unary.Load() + c.sent.Load()) }

func (c *traffic) options() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			c.unary.Add(1)
			return next(ctx, method, req, reply, cc, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			s, err := next(ctx, desc, cc, method, opts...)
			if err != nil {
				return nil, err
			}
			if strings.HasSuffix(method, "/Watch") {
				c.watchStreams.Add(1)
			}
			return countedStream{s, c}, nil
		}),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			c.conns.Add(1)
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}),
	}
}

type countedStream struct {
	grpc.ClientStream
	traffic *traffic
}

func (s countedStream) SendMsg(m any) error {
	s.traffic.sent.Add(1)
	return s.ClientStream.SendMsg(m)
}

// open makes a client whose traffic is counted, and a Store on it.
func open(t testing.TB, endpoints []string, opts *etcd.Options) (*etcd.Store, *clientv3.Client, *traffic) {
	t.Helper()
	c := new(traffic)
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop(), DialOptions: c.options()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	store, err := etcd.New(client, opts)
	require.NoError(t, err)
	return store, client, c
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// put writes a key whatever was there.
func put(t testing.TB, client *clientv3.Client, key, value string) int64 {
	t.Helper()
	resp, err := client.Put(within(t, 10*time.Second), key, value)
	require.NoError(t, err)
	return resp.Header.Revision
}

// seen is one thing that a watch yielded.
type seen struct {
	view adapters.View
	err  error
	at   time.Time
}

// follow runs a watch until its context ends. Its channel is closed behind the
// last thing that the watch yielded.
func follow(ctx context.Context, store adapters.Store, name string) <-chan seen {
	ch := make(chan seen, 1024)
	go func() {
		defer close(ch)
		for view, err := range store.Watch(ctx, name) {
			ch <- seen{view, err, time.Now()}
		}
	}()
	return ch
}

// until returns the first view in which key has value ("" for: is not there).
func until(t testing.TB, ch <-chan seen, patience time.Duration, key, value string) seen {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case s, ok := <-ch:
			require.True(t, ok, "the watch ended")
			require.NoError(t, s.err)
			if kv, there := s.view.Get(key); there == (value != "") && string(kv.Value) == value {
				return s
			}
		case <-deadline:
			require.FailNow(t, "watch is late", "%q did not become %q in %v", key, value, patience)
		}
	}
}
