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
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	if kind := os.Getenv(envServer); kind != "" {
		os.Exit(serve(kind))
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
	endpoints map[*backend]*string // of the user's servers; empty for our own
	runs      int
	time      time.Duration // of one loop; other measurements take half of it
	rows      []row
	output    string
	command   string
}

func parse(args []string, usage io.Writer) (*settings, error) {
	s := &settings{command: "go -C bench run .", endpoints: map[*backend]*string{}}
	var pattern string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(usage)
	for _, b := range backends {
		s.endpoints[b] = fs.String(b.name, "", "`URL` of "+b.article+" that runs already; the benchmark writes below quorate-bench/")
	}
	fs.IntVar(&s.runs, "runs", 5, "how often everything is measured; no verdict with fewer than 5")
	fs.DurationVar(&s.time, "time", time.Second, "how long one loop runs; other measurements take half of it")
	fs.StringVar(&pattern, "rows", "", "measure only rows whose name matches this `regexp`")
	fs.StringVar(&s.output, "o", "", "write the table as Markdown into this `file` too")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	fs.Visit(func(f *flag.Flag) {
		if f.Name != "o" { // where the tables go is no part of what they say
			s.command += " -" + f.Name + " " + f.Value.String()
		}
	})
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
