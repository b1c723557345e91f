// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	if os.Getenv(envServer) != "" {
		os.Exit(serve())
	}
	s, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends us at once
	err = s.run(ctx, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are what the command line says.
type settings struct {
	endpoint string // of the user's etcd; empty for our own
	runs     int
	time     time.Duration // of one loop; other measurements take half of it
	rows     []row
	output   string
	command  string
}

func parse(args []string, usage io.Writer) (*settings, error) {
	s := &settings{command: strings.Join(append([]string{"go -C bench run ."}, args...), " ")}
	var pattern string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.StringVar(&s.endpoint, "etcd", "", "`URL` of an etcd that runs already; the benchmark writes below quorate-bench/")
	fs.IntVar(&s.runs, "runs", 5, "how often everything is measured; no verdict with fewer than 5")
	fs.DurationVar(&s.time, "time", 2*time.Second, "how long one loop runs; other measurements take half of it")
	fs.StringVar(&pattern, "rows", "", "measure only rows whose name matches this `regexp`")
	fs.StringVar(&s.output, "o", "", "write the table as Markdown into this `file` too")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("argument %q: takes flags only", fs.Arg(0))
	}
	if s.runs < 1 {
		return nil, fmt.Errorf("-runs %d: want at least 1", s.runs)
	}
	if s.time < 10*time.Millisecond {
		return nil, fmt.Errorf("-time %v: want at least 10ms", s.time)
	}
	match, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("-rows: %w", err)
	}
	var names []string
	for _, r := range allRows {
		names = append(names, r.name)
		if match.MatchString(r.name) {
			s.rows = append(s.rows, r)
		}
	}
	if len(s.rows) == 0 {
		return nil, fmt.Errorf("-rows %q: matches none of %s", pattern, strings.Join(names, ", "))
	}
	return s, nil
}

// run measures, and prints the table to out and how far it is to progress.
func (s *settings) run(ctx context.Context, out, progress io.Writer) (err error) {
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(progress, "[%4.0fs] %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	m := describeMachine()
	b := &bed{endpoint: s.endpoint}
	where := "started by the user"
	if b.endpoint == "" {
		say("starting etcd")
		srv, err := startServer(ctx)
		if err != nil {
			return err
		}
		defer func() { err = srv.close(err) }()
		b.endpoint, where = srv.endpoint, "one member, data in "+filepath.Dir(srv.dir)
	}
	if m.etcd, err = b.version(ctx); err != nil {
		return err
	}
	m.etcd += ", " + where
	say("etcd %s at %s; warming up", m.etcd, b.endpoint)
	if _, err := twoCommits(ctx, b, time.Second); err != nil {
		return err
	}

	results := make([]result, len(s.rows))
	for n := range s.runs {
		for i, r := range s.rows {
			sample, err := r.measure(ctx, b, s.time)
			if err != nil {
				return fmt.Errorf("run %d, row %s, %w", n+1, r.name, err)
			}
			results[i].row = r
			results[i].samples = append(results[i].samples, sample)
			say("run %d of %d, %s: %s", n+1, s.runs, r.name, sample)
		}
	}
	m.loadAfter = load()
	t := &table{machine: m, command: s.command, runs: s.runs, time: s.time, results: results}
	if _, err := io.WriteString(out, t.text()); err != nil || s.output == "" {
		return err
	}
	return os.WriteFile(s.output, []byte(t.markdown()), 0o644)
}
