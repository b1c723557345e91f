// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adapters

import (
	"context"
	"errors"
	"iter"
	"time"
)

// A Store is a linearizable key space with leases. A name that ends in "/"
// means every key beneath it; any other name means that one key, as in
// [net/http.ServeMux]. All methods may be called by many goroutines at once,
// honour their context, and return what they return without sharing memory
// that they or the caller would change later.
type Store interface {
	// Read returns a linearizable view of name. A missing key is an empty view.
	Read(ctx context.Context, name string) (View, error)

	// Watch yields the state of name, at least as new as the call, and then
	// a newer state after each change. States may be coalesced, so a reader
	// sees the last one but not every step to it; a key that was deleted and
	// made again shows another Created. A state equal to the one before is not
	// yielded, and never an older state after a newer one.
	//
	// Faults that pass are retried inside. The sequence ends when the reader
	// breaks, or with exactly one non-nil error: the context's cause, or a
	// failure that retrying cannot mend, such as ErrDenied.
	Watch(ctx context.Context, name string) iter.Seq2[View, error]

	// Commit applies all writes of tx in one step if all its conditions hold,
	// and none otherwise. See the package's table of failures for its errors.
	Commit(ctx context.Context, tx Tx) (Result, error)

	// Grant starts a lease of at least ttl; backends round up. The granted TTL
	// in the answer is the one that counts. A Grant that failed may have left
	// a lease that nobody knows; it holds no keys and ends by itself.
	Grant(ctx context.Context, ttl time.Duration) (Lease, error)

	// Renew extends a lease once by its TTL, which it returns, or reports
	// ErrLeaseLost. It does not retry, pace or keep time.
	Renew(ctx context.Context, id LeaseID) (time.Duration, error)

	// Revoke ends a lease now and deletes its keys. A lease that has ended
	// already is no error.
	Revoke(ctx context.Context, id LeaseID) error

	// Limits says what the backend cannot do, so that a bad setting fails when
	// a program starts and not when somebody is paged.
	Limits() Limits
}

// Rev is a position in the store's total order of writes. It is below 1<<47,
// so that a fencing token made of it fits a signed 64-bit integer.
type Rev uint64

// LeaseID names a lease. Its form belongs to the backend; it is not empty.
type LeaseID string

// Lease is a lease as the backend granted it.
type Lease struct {
	ID  LeaseID
	TTL time.Duration
}

// KV is one key as it was at one moment.
type KV struct {
	Key     string
	Value   []byte
	Created Rev     // first write of this life of the key
	Mod     Rev     // last write
	Lease   LeaseID // empty if the key outlives every lease
	Tag     uint64  // what the backend keeps beside the value; see Limits.LockTag
}

// View is the state of a name at one moment.
type View struct {
	Rev Rev  // the moment; 0 where the backend does not tell
	KVs []KV // sorted by Key; must not be changed
}

// Get returns the key of that exact name in the view.
func (v View) Get(key string) (KV, bool) {
	for _, kv := range v.KVs {
		if kv.Key == key {
			return kv, true
		}
	}
	return KV{}, false
}

// Limits says what a backend cannot do. Zero means no limit.
type Limits struct {
	MinTTL, MaxTTL time.Duration // of a lease
	MaxOps         int           // conditions, writes and reads of one Tx
	MaxKey         int           // bytes of a key
	MaxValue       int           // bytes of a value
	MaxTx          int           // bytes of all keys and values of one Tx

	// A lease that nobody renews ends, on a backend that keeps its own leader,
	// between TTL and TTL*ExpiryFactor + ExpiryLag after its last renewal.
	ExpiryFactor int
	ExpiryLag    time.Duration

	// EarlyEnd says that the backend may end a lease that it has granted before its
	// TTL has run, and let others have its places at once. Only the fencing token
	// protects then.
	EarlyEnd bool

	// LockTag is not 0 if the backend's own lock recipe is one key that is put on
	// a lease, with this tag, rather than a queue. Consul's api.Lock is; its tag is
	// the key's Flags. A write with that Op.Tag is one that the recipe understands.
	LockTag uint64
}

// Latest returns how long the keys of a dead process may outlive its last
// renewal at ttl, while the backend keeps its own leader.
func (l Limits) Latest(ttl time.Duration) time.Duration {
	return ttl*time.Duration(max(l.ExpiryFactor, 1)) + l.ExpiryLag
}

var (
	// ErrConflict means that a condition did not hold; nothing was written.
	ErrConflict = errors.New("condition does not hold")
	// ErrLeaseLost means that a lease has expired or was revoked.
	ErrLeaseLost = errors.New("lease expired or revoked")
	// ErrUnknown means that a write may have been applied, or may be yet.
	ErrUnknown = errors.New("outcome unknown")
	// ErrInvalid means that a request broke a rule of this package or a limit
	// of the backend. It was not sent.
	ErrInvalid = errors.New("invalid request")
	// ErrDenied means that the credentials lack a right. Retrying cannot help.
	ErrDenied = errors.New("permission denied")
)
