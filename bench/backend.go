// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"time"
)

// A backend is what Quorate runs on, and its own recipe.
type backend struct {
	name     string // of rows and of the flag
	title    string // for people
	article  string // "an etcd"
	module   string // of its Go client
	peerName string
	watcher  string // how its clients see a commit

	start   func(ctx context.Context, progress io.Writer) (*server, error)
	version func(ctx context.Context, b *bed) (string, error)
	prepare func(ctx context.Context, b *bed) error // before all rows; may be nil, like
	clean   func(ctx context.Context, b *bed) error // after them

	twoCommits measurement
	seenCommit func(rest time.Duration) measurement
	ours, peer opener
}

var etcdBackend = &backend{
	name: "etcd", title: "etcd", article: "an etcd", module: "go.etcd.io/etcd/client/v3", peerName: "concurrency.Mutex", watcher: "a watcher",
	start: startEtcd, version: etcdVersion,
	twoCommits: etcdTwoCommits, seenCommit: etcdSeenCommit,
	ours: quorateOnEtcd, peer: concurrencyMutex,
}

var consulBackend = &backend{
	name: "consul", title: "Consul", article: "a Consul", module: "github.com/hashicorp/consul/api", peerName: "api.Lock", watcher: "a blocking query",
	start: startConsul, version: consulVersion, prepare: consulPrepare, clean: consulClean,
	twoCommits: consulTwoCommits, seenCommit: consulSeenCommit,
	ours: quorateOnConsul, peer: apiLock,
}

// backends are in the order in which they are measured.
var backends = []*backend{etcdBackend, consulBackend}

const ms = time.Millisecond

// allRows are in the order in which they are measured and printed, those of a
// backend together.
var allRows = []row{
	freeRow(etcdBackend, 1.15),
	loopRow(etcdBackend, 2, 1.5, 50),
	loopRow(etcdBackend, 8, 2, 10),
	loopRow(etcdBackend, 32, 2.5, 2.5),
	handOverRow(etcdBackend, 2, 1.6, 10*ms, 10*ms),
	handOverRow(etcdBackend, 10, 1.6, 10*ms, 10*ms),
	handOverRow(etcdBackend, 100, 1.6, 10*ms, 10*ms),
	handOverRow(etcdBackend, 1000, 1.6, 50*ms, 0),

	freeRow(consulBackend, 1.15),
	loopRow(consulBackend, 2, 0, 20),
	loopRow(consulBackend, 8, 0, 20),
	loopRow(consulBackend, 32, 0, 20),
	handOverRow(consulBackend, 2, 2.5, 10*ms, 10*ms),
	handOverRow(consulBackend, 10, 2.5, 10*ms, 50*ms),
	handOverRow(consulBackend, 100, 2.5, 10*ms, 250*ms),
	handOverRow(consulBackend, 1000, 2.5, 50*ms, 0),
}
