// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/adapters"
)

// Backend is what one rule runs on.
type Backend struct {
	Store adapters.Store

	// Calls returns how many requests the Store has sent to its backend so
	// far, counted below the adapter (an interceptor, a RoundTripper): what it
	// costs is part of what is checked. It must not count anybody else's. nil
	// leaves the rules about cost out.
	Calls func() int
}

// Run runs every rule of the contract as a subtest on a Backend of its own.
// The Backends may share one server: each rule keeps below a random root of
// its own, adaptertest-<random>/, and deletes it at the end. Rules that wait
// for leases to end run in parallel.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			if r.slow {
				t.Parallel()
			}
			b := open(t)
			if r.needsCalls && b.Calls == nil {
				t.Skip("Backend.Calls is nil: cost is not checked")
			}
			runRule(t, r, b)
		})
	}
}

// A rule is one promise of the contract and the check of it.
type rule struct {
	name       string
	why        string // what breaks for users when the rule is broken; printed with each failure
	slow       bool   // waits for a lease to end
	needsCalls bool
	test       func(*trial)
}

func rules() []rule {
	return slices.Concat(commitRules, revisionRules, leaseRules, expiryRules, watchRules, watchEndRules, nameRules, requestRules, costRules)
}

// tester is what rules need of a *testing.T. The tests of this package put
// another one there, to see rules fail on stores that are broken on purpose.
type tester interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	FailNow()
	Cleanup(func())
	Context() context.Context
}

const (
	patience = 10 * time.Second       // for what must happen, on however slow a machine
	slack    = 2 * time.Second        // for what must have happened by a certain time
	prompt   = time.Second            // for a call whose context is over
	shortest = 500 * time.Millisecond // TTL of leases that are to end, if the backend can
	lifetime = 2 * time.Minute        // of one rule, plus what its leases need
)

// A trial is one run of one rule.
type trial struct {
	tester
	rule  rule
	store adapters.Store
	calls func() int
	ctx   context.Context
	root  string
	ttl   time.Duration // of leases that are to end
}

func runRule(tb tester, r rule, b Backend) {
	tb.Helper()
	limits := b.Store.Limits()
	ttl := max(limits.MinTTL, shortest)
	ctx, cancel := context.WithTimeoutCause(tb.Context(), lifetime+4*limits.Latest(ttl), errors.New("the rule took too long"))
	t := &trial{
		tester: tb, rule: r, store: b.Store, calls: b.Calls, ctx: ctx, ttl: ttl,
		root: fmt.Sprintf("adaptertest-%016x/", rand.Uint64()),
	}
	tb.Cleanup(cancel)
	tb.Cleanup(t.clear)
	r.test(t)
}

// clear deletes what the rule has left.
func (t *trial) clear() {
	ctx, cancel := contextAfter(t.ctx)
	defer cancel()
	view, err := t.store.Read(ctx, t.root)
	if err != nil {
		t.Logf("cleaning up: %v", err)
		return
	}
	for chunk := range slices.Chunk(view.KVs, 16) {
		var tx adapters.Tx
		for _, kv := range chunk {
			tx.Then = append(tx.Then, adapters.Delete(kv.Key))
		}
		if _, err := t.store.Commit(ctx, tx); err != nil {
			t.Logf("cleaning up: %v", err)
			return
		}
	}
}

// failf ends the rule. The reason for the rule comes first: whoever sees it
// fail has to know what it protects before how it was noticed.
func (t *trial) failf(format string, args ...any) {
	t.Helper()
	t.Errorf("rule %q: %s\n\t%s", t.rule.name, t.rule.why, fmt.Sprintf(format, args...))
	t.FailNow()
}

func (t *trial) must(err error, what string, args ...any) {
	t.Helper()
	if err != nil {
		t.failf("%s: unexpected error: %v", fmt.Sprintf(what, args...), err)
	}
}

func (t *trial) wantErr(err, target error, what string, args ...any) {
	t.Helper()
	if !errors.Is(err, target) {
		t.failf("%s: got error %v, want %v", fmt.Sprintf(what, args...), err, target)
	}
}
