// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/quorate/quorate/adapters/embedded"
)

func startEtcd(ctx context.Context, _ io.Writer) (*server, error) {
	return startServer(ctx, "etcd", "etcd")
}

// serveEtcd is an etcd until ctx ends.
func serveEtcd(ctx context.Context, log *slog.Logger, ready func(endpoint string)) error {
	srv, err := embedded.Start(ctx, &embedded.Options{
		// etcd's own defaults, which for one member are not the package's.
		Heartbeat: 100 * time.Millisecond,
		Election:  time.Second,
		Logger:    log,
	})
	if err != nil {
		return err
	}
	ready(srv.Endpoints()[0])
	<-ctx.Done()
	return srv.Close()
}
