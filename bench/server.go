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
)

// envServer makes the program a server; its kind.
const envServer = "QUORATE_BENCH_SERVER"

// serve is the life of the child: a server until its standard input ends, which
// is when the parent closes it or dies. Its data is below $TMPDIR.
func serve(kind string) int {
	signal.Ignore(os.Interrupt) // meant for the parent, which then ends us
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	ready := func(endpoint string) { fmt.Println(endpoint) }
	run := map[string]func(context.Context, *slog.Logger, func(string)) error{"etcd": serveEtcd, "consul": serveConsul}[kind]
	if err := run(ctx, log, ready); err != nil {
		log.Error("serve", "error", err)
		return 1
	}
	return 0
}

// server is the child, as its parent sees it.
type server struct {
	title         string
	endpoint, dir string
	cmd           *exec.Cmd
	stdin         io.Closer
	words         bytes.Buffer // what it wrote to its standard error
}

// startServer starts a child of a kind that serve knows.
func startServer(ctx context.Context, kind, title string, env ...string) (*server, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{title: title, cmd: exec.Command(exe)}
	// A directory around the child's own, in case that the child is killed.
	if s.dir, err = os.MkdirTemp(dataDir(), "quorate-bench-"); err != nil {
		return nil, err
	}
	s.cmd.Env = append(append(os.Environ(), envServer+"="+kind, "TMPDIR="+s.dir), env...)
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
		return nil, s.close(fmt.Errorf("%s did not start: %w", title, cmp.Or(context.Cause(ctx), err)))
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
		err = errors.Join(err, fmt.Errorf("%s: %w", s.title, ended))
	}
	err = errors.Join(err, os.RemoveAll(s.dir))
	if err != nil && s.words.Len() > 0 {
		err = fmt.Errorf("%w\n%s's last words:\n%s", err, s.title, bytes.TrimSpace(s.words.Bytes()))
	}
	return err
}
