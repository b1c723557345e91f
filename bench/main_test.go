// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(envServer); kind != "" {
		os.Exit(serve(kind))
	}
	goleak.VerifyTestMain(m)
}

func TestParse(t *testing.T) {
	s, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 5, s.runs)
	require.Equal(t, time.Second, s.time)
	require.Len(t, s.rows, len(allRows))
	require.Equal(t, "go -C bench run .", s.command)
	require.Empty(t, *s.endpoints[etcdBackend])
	require.Empty(t, *s.endpoints[consulBackend])

	s, err = parse([]string{"-rows", "^etcd/loop/(2|8)$", "-etcd", "http://a:1", "-consul", "b:2", "-o", "x.md"}, io.Discard)
	require.NoError(t, err)
	require.Len(t, s.rows, 2)
	require.Equal(t, "http://a:1", *s.endpoints[etcdBackend])
	require.Equal(t, "b:2", *s.endpoints[consulBackend])
	require.Equal(t, "go -C bench run . -consul b:2 -etcd http://a:1 -rows ^etcd/loop/(2|8)$", s.command)

	for want, args := range map[string][]string{
		"-runs 0: want at least 1":               {"-runs", "0"},
		"-time 1ms: want at least 10ms":          {"-time", "1ms"},
		"argument \"x\": takes flags only":       {"x"},
		"-rows \"y\": matches none of etcd/free": {"-rows", "y"},
		"-rows: error parsing regexp":            {"-rows", "("},
	} {
		_, err := parse(args, io.Discard)
		require.ErrorContains(t, err, want)
	}
}

// All of it on real servers.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts servers")
	}
	s, err := parse([]string{"-runs", "1", "-time", "200ms", "-o", filepath.Join(t.TempDir(), "table.md")}, io.Discard)
	require.NoError(t, err)
	var out, progress bytes.Buffer
	require.NoError(t, s.run(t.Context(), &out, &progress), "%s", &progress)
	t.Logf("%s", &out)
	md, err := os.ReadFile(s.output)
	require.NoError(t, err)
	for _, r := range allRows {
		require.Contains(t, out.String(), "\n"+r.name+" ")
		require.Contains(t, progress.String(), "run 1 of 1, "+r.name+": limit ")
		require.Contains(t, string(md), "\n| "+r.name+" | ")
	}
	require.Contains(t, string(md), "- Consul: 1.")
}

// Whoever lets us use his etcd gets it back without a key or lease of ours.
func TestLeavesNothingInEtcd(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts etcd")
	}
	srv, err := startEtcd(t.Context(), io.Discard)
	require.NoError(t, err)
	defer func() { require.NoError(t, srv.close(nil)) }()
	s, err := parse([]string{"-runs", "1", "-time", "400ms", "-rows", "etcd/.*(free|/8|/10)$", "-etcd", srv.endpoint}, io.Discard)
	require.NoError(t, err)
	require.Len(t, s.rows, 3)
	require.NoError(t, s.run(t.Context(), io.Discard, io.Discard))

	client, err := etcdClient(&bed{endpoint: srv.endpoint})
	require.NoError(t, err)
	defer client.Close()
	keys, err := client.Get(t.Context(), "", clientv3.WithPrefix())
	require.NoError(t, err)
	require.Empty(t, keys.Kvs)
	leases, err := client.Leases(t.Context())
	require.NoError(t, err)
	require.Empty(t, leases.Leases)
}

// The same of Consul, and no node in its catalog. api.Lock destroys its
// sessions in the background.
func TestLeavesNothingInConsul(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts Consul")
	}
	srv, err := startConsul(t.Context(), os.Stderr)
	require.NoError(t, err)
	defer func() { require.NoError(t, srv.close(nil)) }()
	s, err := parse([]string{"-runs", "1", "-time", "400ms", "-rows", "consul/.*(free|/8|/10)$", "-consul", srv.endpoint}, io.Discard)
	require.NoError(t, err)
	require.Len(t, s.rows, 3)
	require.NoError(t, s.run(t.Context(), io.Discard, io.Discard))

	client, done, err := consulClient(&bed{endpoint: srv.endpoint})
	require.NoError(t, err)
	defer done()
	keys, _, err := client.KV().Keys("", "", nil)
	require.NoError(t, err)
	require.Empty(t, keys)
	nodes, _, err := client.Catalog().Nodes(nil)
	require.NoError(t, err)
	require.Len(t, nodes, 1, "but the server's own")
	require.Eventually(t, func() bool {
		sessions, _, err := client.Session().List(nil)
		return err == nil && len(sessions) == 0
	}, 10*time.Second, 10*time.Millisecond)
}

// What cannot be measured must not be reported.
func TestServerGone(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend.name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("-short: starts servers")
			}
			srv, err := backend.start(t.Context(), os.Stderr)
			require.NoError(t, err)
			b := &bed{backend: backend, endpoint: srv.endpoint}
			_, err = backend.version(t.Context(), b)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			time.AfterFunc(200*time.Millisecond, func() { _ = srv.cmd.Process.Kill() })
			_, err = backend.twoCommits(ctx, b, time.Minute)
			require.Error(t, err)
			require.ErrorContains(t, srv.close(err), backend.title+": signal: killed")
			require.NoDirExists(t, srv.dir)
			_, err = backend.version(t.Context(), b)
			require.Error(t, err, "nothing is left that serves")
		})
	}
}

// A server that ends by itself says why.
func TestServerFails(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts a server")
	}
	_, err := startServer(t.Context(), "consul", "Consul", envConsul+"=/nonexistent/consul")
	require.ErrorContains(t, err, "Consul did not start")
	require.ErrorContains(t, err, "no such file or directory")
}

func TestInterruptedStart(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend.name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("-short: starts servers")
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := backend.start(ctx, os.Stderr)
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}
