// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"github.com/quorate/quorate/adapters/embedded"
)

// envServer makes the program an etcd server.
const envServer = "QUORATE_BENCH_SERVER"

// serve is the life of the child: a server until its standard input ends, which
// is when the parent closes it or dies. Its data is below $TMPDIR.
func serve() int {
	signal.Ignore(os.Interrupt) // meant for the parent, which then ends us
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	srv, err := embedded.Start(ctx, &embedded.Options{
		// etcd's own defaults, which for one member are not the package's.
		Heartbeat: 100 * time.Millisecond,
		Election:  time.Second,
		Logger:    log,
	})
	if err != nil {
		log.Error("start", "error", err)
		return 1
	}
	fmt.Println(srv.Endpoints()[0])
	<-ctx.Done()
	if err := srv.Close(); err != nil {
		log.Error("close", "error", err)
		return 1
	}
	return 0
}

// server is the child, as its parent sees it.
type server struct {
	endpoint, dir string
	cmd           *exec.Cmd
	stdin         io.Closer
	words         bytes.Buffer // what it wrote to its standard error
}

func startServer(ctx context.Context) (*server, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.Command(exe)}
	// A directory around the child's own, in case that the child is killed.
	if s.dir, err = os.MkdirTemp(dataDir(), "quorate-bench-"); err != nil {
		return nil, err
	}
	s.cmd.Env = append(os.Environ(), envServer+"=1", "TMPDIR="+s.dir)
	s.cmd.Stderr = &s.words
	stdout, err := s.start()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	// Whoever is interrupted meanwhile need not wait: closing its input ends
	// the child, and that ends the read.
	defer context.AfterFunc(ctx, func() { _ = s.stdin.Close() })()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, s.close(fmt.Errorf("etcd did not start: %w", cmp.Or(context.Cause(ctx), err)))
	}
	s.endpoint = strings.TrimSpace(line)
	return s, nil
}

func (s *server) start() (stdout io.Reader, err error) {
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if stdout, err = s.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return stdout, s.cmd.Start()
}

// close ends the child and removes its data. It returns err, with the child's last words if there
// are any that may explain it.
func (s *server) close(err error) error {
	_ = s.stdin.Close()
	if ended := s.cmd.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("etcd: %w", ended))
	}
	err = errors.Join(err, os.RemoveAll(s.dir))
	if err != nil && s.words.Len() > 0 {
		err = fmt.Errorf("%w\netcd's last words:\n%s", err, bytes.TrimSpace(s.words.Bytes()))
	}
	return err
}
