// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapLogger returns the logger that etcd wants, which writes to lg. Once
// closing is set, everything counts as debug: etcd reports each listener that
// it closes itself as an error.
func zapLogger(lg *slog.Logger, closing *atomic.Bool) *zap.Logger {
	core := zapcore.NewNopCore()
	if lg != nil {
		core = slogCore{lg.Handler(), closing}
	}
	return zap.New(core, zap.WithFatalHook(fatal{}))
}

// fatal ends the process as etcd demands, for instance when the disk is full
// and a vote cannot be stored. By default zap would do it with os.Exit, and
// under a silent logger nobody would ever learn why.
type fatal struct{}

func (fatal) OnWrite(ce *zapcore.CheckedEntry, fields []zapcore.Field) {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	panic(fmt.Sprintf("embedded: etcd cannot go on: %s %v", ce.Message, enc.Fields))
}

type slogCore struct {
	h       slog.Handler
	closing *atomic.Bool
}

func (c slogCore) Enabled(l zapcore.Level) bool {
	return c.h.Enabled(context.Background(), c.level(l))
}

func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	return slogCore{c.h.WithAttrs(attrs(fields)), c.closing}
}

func (c slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	r := slog.NewRecord(e.Time, c.level(e.Level), e.Message, 0)
	r.AddAttrs(attrs(fields)...)
	return c.h.Handle(context.Background(), r)
}

func (slogCore) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	as := make([]slog.Attr, 0, len(fields))
	for _, f := range fields {
		enc := zapcore.NewMapObjectEncoder()
		f.AddTo(enc)
		for k, v := range enc.Fields {
			as = append(as, slog.Any(k, v))
		}
	}
	return as
}

// level maps etcd's chatty info to debug: a start is dozens of lines of it.
func (c slogCore) level(l zapcore.Level) slog.Level {
	switch {
	case c.closing.Load():
		return slog.LevelDebug
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}
