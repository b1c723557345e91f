// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// run measures, and prints the tables to out and how far it is to progress.
func (s *settings) run(ctx context.Context, out, progress io.Writer) error {
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(progress, "[%4.0fs] %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	t := &table{machine: describeMachine(), command: s.command, runs: s.runs, time: s.time}
	for _, b := range backends {
		rows := slices.DeleteFunc(slices.Clone(s.rows), func(r row) bool { return r.backend != b })
		if len(rows) == 0 {
			continue
		}
		p, err := s.runOn(ctx, rows, say, progress)
		if err != nil {
			return err
		}
		t.parts = append(t.parts, p)
	}
	t.machine.loadAfter = load()
	if _, err := io.WriteString(out, t.text()); err != nil || s.output == "" {
		return err
	}
	return os.WriteFile(s.output, []byte(t.markdown()), 0o644)
}

// runOn measures the rows of one backend.
func (s *settings) runOn(ctx context.Context, rows []row, say func(format string, args ...any), progress io.Writer) (p part, err error) {
	p.backend = rows[0].backend
	p.client = moduleVersion(p.backend.module)
	b := &bed{backend: p.backend, endpoint: *s.endpoints[p.backend]}
	b.node = prefix + "-" + b.name()
	where := "started by the user"
	if b.endpoint == "" {
		say("starting %s", p.backend.title)
		srv, err := p.backend.start(ctx, progress)
		if err != nil {
			return p, err
		}
		defer func() { err = srv.close(err) }()
		b.endpoint, where = srv.endpoint, "one member, data in "+filepath.Dir(srv.dir)
	}
	version, err := p.backend.version(ctx, b)
	if err != nil {
		return p, err
	}
	p.server = version + ", " + where
	say("%s %s at %s; warming up", p.backend.title, p.server, b.endpoint)
	if clean := p.backend.clean; clean != nil {
		defer func() { err = errors.Join(err, clean(ctx, b)) }()
	}
	if prepare := p.backend.prepare; prepare != nil {
		if err := prepare(ctx, b); err != nil {
			return p, err
		}
	}
	if _, err := p.backend.twoCommits(ctx, b, time.Second); err != nil {
		return p, err
	}
	p.results = make([]result, len(rows))
	for n := range s.runs {
		for i, r := range rows {
			sample, err := r.measure(ctx, b, s.time)
			if err != nil {
				return p, fmt.Errorf("run %d, row %s, %w", n+1, r.name, err)
			}
			p.results[i].row = r
			p.results[i].samples = append(p.results[i].samples, sample)
			say("run %d of %d, %s: %s", n+1, s.runs, r.name, sample)
		}
	}
	return p, nil
}
