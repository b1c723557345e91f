// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/quorate/quorate/internal/servers/consulbin"
)

// consulNode is the name of our server.
const consulNode = "bench"

// envConsul tells the child which program is Consul.
const envConsul = "QUORATE_BENCH_CONSUL"

// startConsul starts a Consul of one server behind a child of ours, which ends
// it. What the environment says to clients of another Consul is forgotten.
func startConsul(ctx context.Context, progress io.Writer) (*server, error) {
	program, err := consulbin.Find(progress)
	if err != nil {
		return nil, err
	}
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "CONSUL_") {
			_ = os.Unsetenv(name)
		}
	}
	return startServer(ctx, "consul", "Consul", envConsul+"="+program.Path)
}

// serveConsul runs a Consul until ctx ends.
func serveConsul(ctx context.Context, _ *slog.Logger, ready func(endpoint string)) error {
	dir, err := os.MkdirTemp("", "consul-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	endpoint, settings, err := consulSettings(dir)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "consul.json")
	if err := os.WriteFile(file, settings, 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.Command(os.Getenv(envConsul), "agent", "-config-file", file)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // it has nothing to say unless something is wrong
	cmd.SysProcAttr = dieWithParent
	runtime.LockOSThread() // of a thread that ends, the kernel kills the children
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := cmd.Wait(); err != nil {
			cancel(fmt.Errorf("ended by itself: %w", err))
		}
		cancel(errors.New("ended by itself"))
	}()
	if err = awaitConsul(ctx, endpoint); err == nil {
		ready(endpoint)
		<-ctx.Done()
	}
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		err = nil // it was told to
	} else if cause != nil {
		err = cause
	}
	_ = cmd.Process.Kill() // its data are of no use
	<-ended
	return err
}

// consulSettings makes the configuration of a single server with its data in
// dir. What takes no part here is off: its ports would be the same for all
// Consuls of the machine.
func consulSettings(dir string) (endpoint string, settings []byte, err error) {
	var ports [3]int
	for i := range ports {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", nil, err
		}
		defer ln.Close() // after all are drawn, so that they differ
		ports[i] = ln.Addr().(*net.TCPAddr).Port
	}
	type object map[string]any
	settings, err = json.Marshal(object{
		"node_name": consulNode, "server": true, "bootstrap_expect": 1, "data_dir": filepath.Join(dir, "data"),
		"bind_addr": "127.0.0.1", "client_addr": "127.0.0.1",
		"ports": object{
			"http": ports[0], "serf_lan": ports[1], "server": ports[2],
			"https": -1, "dns": -1, "grpc": -1, "grpc_tls": -1, "serf_wan": -1,
		},
		"connect": object{"enabled": false}, "disable_update_check": true, "log_level": "error",
		// What Consul advises for production. It is about timers.
		"performance": object{"raft_multiplier": 1},
		// Processes on machines of their own have 200 connections each. Ours
		// come from one address.
		"limits": object{"http_max_conns_per_client": 10000},
	})
	return fmt.Sprintf("http://127.0.0.1:%d", ports[0]), settings, err
}

// awaitConsul waits until the server's node is healthy, as its leader sees it:
// before that no session can be made.
func awaitConsul(ctx context.Context, endpoint string) error {
	client, done, err := consulClient(&bed{endpoint: endpoint})
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("not ready after 30s"))
	defer cancel()
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, time.Second)
		checks, _, err := client.Health().Node(consulNode, (&api.QueryOptions{RequireConsistent: true}).WithContext(try))
		cancel()
		if err == nil && len(checks) > 0 && checks.AggregatedStatus() == api.HealthPassing {
			return nil
		}
		pause(ctx, 20*time.Millisecond)
	}
	return context.Cause(ctx)
}
