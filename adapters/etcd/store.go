// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/adapters"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// ErrClosed means that the etcd client under the Store has been closed.
var ErrClosed = errors.New("etcd client is closed")

// limits are those of an etcd with default settings. A request may have 1.5
// MiB there, keys, values and about 50 bytes for each operation included; what
// MaxTx leaves free is more than 128 operations can need.
//
// The primary lessor looks for expired leases every 500 ms and then commits
// their end. ExpiryLag gives that commit, and the clock of a leader that is
// short of CPU, another 500 ms; the most that was seen in trials was 530 ms.
var limits = adapters.Limits{
	MinTTL:       time.Second, // etcd counts in seconds; what it grants may be more
	MaxTTL:       clientv3.MaxLeaseTTL * time.Second,
	MaxOps:       128,
	MaxKey:       1536,
	MaxValue:     512 << 10,
	MaxTx:        1 << 20,
	ExpiryFactor: 1,
	ExpiryLag:    time.Second,
}

// maxTry is the longest that one try, of a read or of a watch stream, may take
// before the next one, on another member. Large subtrees over slow links and
// overloaded servers need their time; tries that are given up too early would
// only add to the load.
const maxTry = 32 * time.Second

// A Store is an etcd cluster seen through the contract of package adapters.
// All of its methods may be called by many goroutines at once. It has no Close:
// it keeps nothing open while nobody watches.
type Store struct {
	client   *clientv3.Client
	opts     Options
	patience time.Duration // of the first try, for an answer that should come at once
	kv       clientv3.KV
	leases   pb.LeaseClient
	conn     grpc.ClientConnInterface
	epoch    time.Time     // zero of the times in stream
	seen     atomic.Int64  // the newest revision in any answer
	term     atomic.Uint64 // the newest term of a leader in any answer
	cluster  atomic.Uint64 // which has answered
	hung     hanging
	grants   granted

	mu      sync.Mutex
	watches int     // that are open
	cur     *stream // which they share; nil if there are none
	stop    func()  // ends the prober and waits for it
}

var _ adapters.Store = (*Store)(nil)

// New makes a Store on a client, which stays the caller's to close, after the
// last call has returned. Nil options are the defaults.
//
// The client must be plain: New refuses one whose KV or Watcher was replaced,
// by package namespace for instance, and one made without a connection. The
// Store makes watchers and transactions of its own on the client's connection,
// and half of it would not see the wrapper. Prefixes do what namespaces do.
func New(client *clientv3.Client, opts *Options) (*Store, error) {
	if client == nil {
		return nil, fmt.Errorf("etcd: new: %w: client is nil", adapters.ErrInvalid)
	}
	o, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("etcd: new: %w", err)
	}
	conn := client.ActiveConnection()
	if conn == nil {
		return nil, fmt.Errorf("etcd: new: %w: client has no connection", adapters.ErrInvalid)
	}
	if plain := clientv3.NewKV(client); reflect.TypeOf(client.KV) != reflect.TypeOf(plain) {
		return nil, fmt.Errorf("etcd: new: %w: client.KV is a %T, want the client's own", adapters.ErrInvalid, client.KV)
	}
	if plain := clientv3.NewWatcher(client); reflect.TypeOf(client.Watcher) != reflect.TypeOf(plain) {
		return nil, fmt.Errorf("etcd: new: %w: client.Watcher is a %T, want the client's own", adapters.ErrInvalid, client.Watcher)
	}
	return &Store{
		client:   client,
		opts:     o,
		patience: o.ProbeEvery / 3,
		kv:       clientv3.NewKVFromKVClient(onceKV{clientv3.RetryKVClient(client)}, client),
		leases:   clientv3.RetryLeaseClient(client),
		conn:     conn,
		epoch:    time.Now(),
	}, nil
}

// Limits returns those of an etcd with default settings. Its least TTL is
// larger in truth, one and a half election timeouts; the granted TTL shows it.
func (s *Store) Limits() adapters.Limits { return limits }

// Read returns a linearizable view of name. A member that does not answer in
// time is left for another one, until ctx ends.
func (s *Store) Read(ctx context.Context, name string) (adapters.View, error) {
	if err := adapters.CheckName(name, limits); err != nil {
		return adapters.View{}, fmt.Errorf("etcd: read: %w", err)
	}
	view, err := s.read(ctx, name)
	if err != nil {
		return adapters.View{}, fmt.Errorf("etcd: read %q: %w", name, err)
	}
	return view, nil
}

func (s *Store) read(ctx context.Context, name string) (adapters.View, error) {
	if err := s.ready(ctx); err != nil {
		return adapters.View{}, err
	}
	for patience := s.patience; ; patience = min(2*patience, maxTry) {
		tctx, cancel := context.WithTimeout(ctx, patience)
		resp, err := s.kv.Get(tctx, name, span(name)...)
		late := tctx.Err() != nil
		cancel()
		if err == nil {
			s.note(resp.Header)
			return s.view(resp.Header.GetRevision(), resp.Kvs), nil
		}
		if !late || ctx.Err() != nil {
			return adapters.View{}, s.explain(ctx, err, false, toRead(name))
		}
	}
}

// ready refuses a call that need not be made.
func (s *Store) ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.client.Ctx().Err() != nil {
		return ErrClosed
	}
	return nil
}

// note takes down how far the cluster is, from any answer.
func (s *Store) note(h *pb.ResponseHeader) {
	// A cluster that was made anew behind the same addresses counts from zero.
	if id := h.GetClusterId(); id != 0 && s.cluster.Swap(id) != id {
		s.term.Store(0)
		s.seen.Store(0)
	}
	term := h.GetRaftTerm()
	for seen := s.term.Load(); term > seen && !s.term.CompareAndSwap(seen, term); seen = s.term.Load() {
	}
	rev := h.GetRevision()
	for seen := s.seen.Load(); rev > seen; seen = s.seen.Load() {
		if s.seen.CompareAndSwap(seen, rev) {
			return
		}
	}
}

// span is the range of keys that a name means.
func span(name string) []clientv3.OpOption {
	if strings.HasSuffix(name, "/") {
		return []clientv3.OpOption{clientv3.WithPrefix()}
	}
	return nil
}
