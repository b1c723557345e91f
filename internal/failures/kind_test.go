// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"crypto/tls"
	"strings"
	"time"
)

// A kind is one lock that the scenarios are tried on.
type kind struct {
	name    string // as the table shows it
	backend string // etcd or consul
	ours    bool
	// queues: a wait stands in the store, as a key below the lock's name.
	queues bool
	// open makes one that contends for the lock, with a client and a session of
	// its own. It takes no test, since children use it too.
	open func(at site) (contender, error)
}

// A site is all that a contender has to know. It is sent to children as JSON.
type site struct {
	Kind      string
	Endpoints []string
	Name      string        // of the lock
	Prefix    string        // of ours
	TTL       time.Duration // of the session
	User      string        // on an etcd with authentication
	Password  string
	Token     string      // on a Consul with ACLs
	TLS       *tls.Config `json:"-"`
	Shared    bool        // give all locks of this contender one session (api.Lock)
	// Late keeps the first renewal from being sent until it is closed
	// (concurrency only): it is on its way when the link is cut.
	Late <-chan struct{} `json:"-"`
	// Margin is that of the session; 0 is its own default (ours only).
	Margin time.Duration
	// Granted is called when the answer to the grant of a lease has come, before
	// the client sees it (etcd only).
	Granted func() `json:"-"`
	// Acquiring is called before the request that takes the lock is sent
	// (api.Lock only, which first looks whether it is free).
	Acquiring func() `json:"-"`
}

// A contender can take the lock, more than once if the lock lets it.
type contender interface {
	// lock waits for the lock until ctx ends.
	lock(ctx context.Context) (hold, error)
	// lease names the contender's lease at the server: who ends it there has
	// ended its session behind its back.
	lease() (string, error)
	// waits says whether what lock waits with has reached the server.
	waits() bool
	close() error
}

// A hold is the lock, taken.
type hold interface {
	check() error  // nil: nobody else can have the lock
	token() uint64 // 0: there is none
	unlock(ctx context.Context) error
}

var kinds = []*kind{oursOnEtcd, oursOnConsul, theirMutex, theirElection, theirLock}

func kindOf(name string) *kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	return nil
}

// slots is where the keys of those who hold and wait are.
func (k *kind) slots(at site) string {
	switch {
	case k.ours:
		return at.Prefix + "/mutex/" + at.Name + "/"
	case k.queues:
		return at.Name + "/"
	default:
		return at.Name
	}
}

// on says which of the kinds run on a backend.
func on(backend string, of ...*kind) (those []*kind) {
	for _, k := range of {
		if k.backend == backend {
			those = append(those, k)
		}
	}
	return those
}

func hostOf(endpoint string) string { return strings.TrimPrefix(endpoint, "http://") }
