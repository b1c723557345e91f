// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/servers/flock"
	"go.uber.org/goleak"
)

const (
	envServer = "QUORATE_TEST_SERVER" // makes the binary a server; its settings as JSON
	envLocked = "QUORATE_TEST_LOCKED" // an ancestor holds the lock
)

var running bool // Main is what runs the tests

// Main runs the tests of a package that starts servers; call it from TestMain.
//
// In the children that StartEtcd starts, it is the server. Otherwise it takes
// a lock so that only one such package runs at a time on this machine (not
// with -short), runs the tests, checks that they left no goroutine behind,
// and exits. Processes that the tests start do not take the lock again. Waiting
// for it counts against the minute and -timeout after which go test kills.
func Main(m *testing.M, leaks ...goleak.Option) {
	if settings, ok := os.LookupEnv(envServer); ok {
		os.Exit(serve(settings))
	}
	os.Exit(run(m, leaks))
}

func run(m *testing.M, leaks []goleak.Option) int {
	flag.Parse()
	if !testing.Short() && os.Getenv(envLocked) == "" {
		unlock, err := flock.Lock("quorate-servers", "another package's tests")
		if err != nil {
			fmt.Fprintln(os.Stderr, "servers: lock:", err)
			return 1
		}
		defer unlock()
		if err := os.Setenv(envLocked, "1"); err != nil {
			fmt.Fprintln(os.Stderr, "servers:", err)
			return 1
		}
		sweep()
	}
	running = true
	if code := m.Run(); code != 0 {
		return code
	}
	if err := goleak.Find(leaks...); err != nil {
		fmt.Fprintln(os.Stderr, "servers: after all tests:", err)
		return 1
	}
	return 0
}

// sweep removes what test binaries left in memory that were killed. Whoever
// writes there holds the lock, and now we do.
func sweep() {
	old, _ := filepath.Glob(filepath.Join(shm, dirPrefix+"*"))
	for _, dir := range old {
		_ = os.RemoveAll(dir)
	}
}

// serve is the life of a child: a server until its standard input ends, which
// is when the parent closes it or dies.
func serve(told string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var set etcdSettings
	if err := json.Unmarshal([]byte(told), &set); err != nil {
		log.Error("settings", "error", err)
		return 2
	}
	set.Logger = log
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		cancel(fmt.Errorf("standard input ended: %v", err))
	}()
	srv, err := set.start(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return 0 // told to end before it was ready
		}
		log.Error("start", "error", err)
		return 1
	}
	<-ctx.Done()
	if err := srv.Close(); err != nil {
		log.Error("close", "error", err)
		return 1
	}
	return 0
}
