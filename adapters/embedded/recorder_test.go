// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"context"
	"log/slog"
	"sync"
)

// recorder is a slog.Handler that keeps the messages of each level.
type recorder struct {
	mu   sync.Mutex
	seen map[slog.Level][]string
}

func (*recorder) Enabled(context.Context, slog.Level) bool { return true }

func (c *recorder) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[r.Level] = append(c.seen[r.Level], r.Message)
	return nil
}

func (c *recorder) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *recorder) WithGroup(string) slog.Handler      { return c }
