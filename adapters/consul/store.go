// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
)

const maxTTL = 24 * time.Hour // Consul's own

// limits are those of a Consul with default settings. A transaction may have
// 128 operations, of which the adapter needs at most two for itself. Its body
// may have 512 KiB, in which values are in base64 and each operation is about
// 200 bytes longer than its key and value.
var limits = adapters.Limits{
	MinTTL:   defaultMinTTL,
	MaxTTL:   maxTTL,
	MaxOps:   maxOps - 2,
	MaxKey:   1536,
	MaxValue: 352 << 10,
	MaxTx:    360 << 10,
	// The servers let a session live for twice its TTL.
	ExpiryFactor: 2,
	ExpiryLag:    time.Second,
	// Leases can end early, but then nobody gets a new one before the trust in
	// the old ones has run out: see node.go.
	EarlyEnd: false,
	LockTag:  api.LockFlagValue,
}

const maxOps = 128

// A Store is a Consul datacenter seen through the contract of package adapters.
// All of its methods may be called by many goroutines at once. It has no Close:
// it keeps nothing open while nobody watches.
type Store struct {
	opts     Options
	limits   adapters.Limits
	clients  []*api.Client
	using    atomic.Int32  // which of them
	calls    chan struct{} // a slot for each call under way
	renewals chan struct{} // theirs, lest they wait for calls that hang
	polls    chan struct{} // and for each blocking query
	patience time.Duration // with an answer that should come at once

	life nodeLife

	mu      sync.Mutex // protects what follows
	watches int        // that are open
	stop    func()     // ends the prober and waits for it
	hubs    map[string]*hub
	era     context.Context // ends when all blocking queries are to be made anew
	endEra  context.CancelCauseFunc
}

var _ adapters.Store = (*Store)(nil)

// New makes a Store on a client, which stays the caller's, with its address,
// token, TLS settings, namespace and partition. Nil options are the defaults.
func New(client *api.Client, opts *Options) (*Store, error) {
	if client == nil {
		return nil, fmt.Errorf("consul: new: %w: client is nil", adapters.ErrInvalid)
	}
	o, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("consul: new: %w", err)
	}
	l := limits
	l.MinTTL = o.MinTTL
	s := &Store{
		opts:     o,
		limits:   l,
		clients:  append([]*api.Client{client}, o.Failover...),
		calls:    make(chan struct{}, o.MaxCalls),
		renewals: make(chan struct{}, 4),
		polls:    make(chan struct{}, o.MaxPolls),
		patience: o.ProbeEvery / 3,
		hubs:     make(map[string]*hub),
	}
	s.era, s.endEra = context.WithCancelCause(context.Background())
	return s, nil
}

// Limits returns those of a Consul with default settings and Options.MinTTL.
func (s *Store) Limits() adapters.Limits { return s.limits }

// Read returns a linearizable view of name. A server that does not answer in
// time is asked again, or another one, until ctx ends.
func (s *Store) Read(ctx context.Context, name string) (adapters.View, error) {
	if err := checkName(name); err != nil {
		return adapters.View{}, fmt.Errorf("consul: read: %w", err)
	}
	views, err := s.read(ctx, []string{name})
	if err == nil {
		err = views[0].err
	}
	if err != nil {
		return adapters.View{}, fmt.Errorf("consul: read %q: %w", name, err)
	}
	return views[0].view, nil
}

// read asks for all names in one transaction, with tries that it gives up.
func (s *Store) read(ctx context.Context, names []string) ([]answer, error) {
	var ops api.TxnOps
	for _, name := range names {
		ops = append(ops, readOps(name)...)
	}
	var resp *api.TxnResponse
	err := s.patiently(ctx, func(ctx context.Context, c *api.Client) error {
		var ok bool
		var err error
		ok, resp, _, err = c.Txn().Txn(ops, consistent(ctx))
		if err == nil && !ok {
			err = rollback(resp.Errors, nil)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return readResults(resp.Results, names), nil
}

// consistent are the options of a read that the leader answers after it has
// made sure that it still is the leader. Consul's default reads can be stale.
func consistent(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx)
}

func isDir(name string) bool { return strings.HasSuffix(name, "/") }
