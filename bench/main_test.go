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
	if os.Getenv(envServer) != "" {
		os.Exit(serve())
	}
	goleak.VerifyTestMain(m)
}

func TestParse(t *testing.T) {
	s, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 5, s.runs)
	require.Equal(t, 2*time.Second, s.time)
	require.Len(t, s.rows, len(allRows))
	require.Equal(t, "go -C bench run .", s.command)

	s, err = parse([]string{"-rows", "loop/(2|8)$", "-etcd", "http://a:1"}, io.Discard)
	require.NoError(t, err)
	require.Len(t, s.rows, 2)
	require.Equal(t, "http://a:1", s.endpoint)
	require.Equal(t, "go -C bench run . -rows loop/(2|8)$ -etcd http://a:1", s.command)

	for want, args := range map[string][]string{
		"-runs 0: want at least 1":                {"-runs", "0"},
		"-time 1ms: want at least 10ms":           {"-time", "1ms"},
		"argument \"x\": takes flags only":        {"x"},
		"-rows \"y\": matches none of mutex/free": {"-rows", "y"},
		"-rows: error parsing regexp":             {"-rows", "("},
	} {
		_, err := parse(args, io.Discard)
		require.ErrorContains(t, err, want)
	}
}

// All of it on a real etcd.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts etcd")
	}
	s, err := parse([]string{"-runs", "1", "-time", "1s", "-o", filepath.Join(t.TempDir(), "table.md")}, io.Discard)
	require.NoError(t, err)
	var out, progress bytes.Buffer
	require.NoError(t, s.run(t.Context(), &out, &progress))
	require.Contains(t, out.String(), "mutex/loop/32")
	require.Contains(t, progress.String(), "run 1 of 1, mutex/free: limit ")
	md, err := os.ReadFile(s.output)
	require.NoError(t, err)
	require.Contains(t, string(md), "| mutex/loop/32 | ")
}

// Whoever lets us use his etcd gets it back without a key or lease of ours.
func TestLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts etcd")
	}
	srv, err := startServer(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, srv.close(nil)) }()
	s, err := parse([]string{"-runs", "1", "-time", "1s", "-rows", "free|/8", "-etcd", srv.endpoint}, io.Discard)
	require.NoError(t, err)
	require.NoError(t, s.run(t.Context(), io.Discard, io.Discard))

	client, err := (&bed{endpoint: srv.endpoint}).client()
	require.NoError(t, err)
	defer client.Close()
	keys, err := client.Get(t.Context(), "", clientv3.WithPrefix())
	require.NoError(t, err)
	require.Empty(t, keys.Kvs)
	leases, err := client.Leases(t.Context())
	require.NoError(t, err)
	require.Empty(t, leases.Leases)
}

// What cannot be measured must not be reported.
func TestServerGone(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts etcd")
	}
	srv, err := startServer(t.Context())
	require.NoError(t, err)
	b := &bed{endpoint: srv.endpoint}
	_, err = b.version(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	time.AfterFunc(200*time.Millisecond, func() { _ = srv.cmd.Process.Kill() })
	_, err = twoCommits(ctx, b, time.Minute)
	require.Error(t, err)
	require.ErrorContains(t, srv.close(err), "etcd: signal: killed")
	require.NoDirExists(t, srv.dir)
}

func TestInterruptedStart(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts etcd")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := startServer(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
