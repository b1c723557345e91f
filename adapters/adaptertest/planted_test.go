// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/memory"
)

// A plant is a store with one fault, and the rules that must notice it, named
// before it was tried.
type plant struct {
	name   string
	breaks []string
	limits func(*adapters.Limits)
	plant  func(*planted)
}

func plants() []plant {
	return slices.Concat(commitPlants, revisionPlants, leasePlants, watchPlants, watchEndPlants, requestPlants)
}

// planted is a memory store whose methods can be replaced one by one.
type planted struct {
	store *memory.Store
	n     atomic.Int64  // calls made
	done  chan struct{} // closed when the rule is over

	read   func(context.Context, string) (adapters.View, error)
	watch  func(context.Context, string) iter.Seq2[adapters.View, error]
	commit func(context.Context, adapters.Tx) (adapters.Result, error)
	grant  func(context.Context, time.Duration) (adapters.Lease, error)
	renew  func(context.Context, adapters.LeaseID) (time.Duration, error)
	revoke func(context.Context, adapters.LeaseID) error
	limits func(adapters.Limits) adapters.Limits
	show   func(adapters.KV) adapters.KV // changes each key on its way to the caller
}

// newPlanted makes a store that is sound so far.
func newPlanted(limits adapters.Limits) *planted {
	s := memory.New(&memory.Options{Limits: &limits})
	p := &planted{store: s, done: make(chan struct{}), read: s.Read, watch: s.Watch, commit: s.Commit, grant: s.Grant, renew: s.Renew, revoke: s.Revoke}
	p.limits = func(l adapters.Limits) adapters.Limits { return l }
	p.show = func(kv adapters.KV) adapters.KV { return kv }
	return p
}

func (p *planted) shown(v adapters.View) adapters.View {
	v.KVs = slices.Clone(v.KVs)
	for i := range v.KVs {
		v.KVs[i] = p.show(v.KVs[i])
	}
	return v
}

func (p *planted) Limits() adapters.Limits { return p.limits(p.store.Limits()) }

func (p *planted) Read(ctx context.Context, name string) (adapters.View, error) {
	if adapters.CheckName(name, p.store.Limits()) == nil {
		p.n.Add(1)
	}
	v, err := p.read(ctx, name)
	return p.shown(v), err
}

func (p *planted) Watch(ctx context.Context, name string) iter.Seq2[adapters.View, error] {
	seq := p.watch(ctx, name)
	return func(yield func(adapters.View, error) bool) {
		for v, err := range seq {
			if err == nil {
				p.n.Add(1)
			}
			if !yield(p.shown(v), err) {
				return
			}
		}
	}
}

func (p *planted) Commit(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	if tx.Validate(p.store.Limits()) == nil {
		p.n.Add(1)
	}
	res, err := p.commit(ctx, tx)
	for i := range res.Views {
		res.Views[i] = p.shown(res.Views[i])
	}
	return res, err
}

func (p *planted) Grant(ctx context.Context, ttl time.Duration) (adapters.Lease, error) {
	p.n.Add(1)
	return p.grant(ctx, ttl)
}

func (p *planted) Renew(ctx context.Context, id adapters.LeaseID) (time.Duration, error) {
	p.n.Add(1)
	return p.renew(ctx, id)
}

func (p *planted) Revoke(ctx context.Context, id adapters.LeaseID) error {
	p.n.Add(1)
	return p.revoke(ctx, id)
}

// now reads past all faults.
func (p *planted) now(name string) adapters.View {
	v, _ := p.store.Read(context.Background(), name)
	return v
}

// recorder is a tester that keeps what a rule says.
type recorder struct {
	ctx      context.Context
	failures []string
	cleanups []func()
	done     chan struct{}
}

func (r *recorder) Helper()                  {}
func (r *recorder) Logf(string, ...any)      {}
func (r *recorder) FailNow()                 { runtime.Goexit() }
func (r *recorder) Cleanup(f func())         { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// record runs a rule on a planted store, in virtual time, and returns how it
// failed.
func record(t *testing.T, r rule, pl plant) (failures []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		limits := memory.DefaultLimits()
		if pl.limits != nil {
			pl.limits(&limits)
		}
		p := newPlanted(limits)
		if pl.plant != nil {
			pl.plant(p)
		}
		ctx, cancel := context.WithCancel(t.Context())
		rec := &recorder{ctx: ctx, done: make(chan struct{})}
		go func() {
			defer close(rec.done)
			defer func() {
				cancel()
				for _, f := range slices.Backward(rec.cleanups) {
					f()
				}
			}()
			runRule(rec, r, Backend{Store: p, Calls: func() int { return int(p.n.Load()) }})
		}()
		<-rec.done
		close(p.done)
		require.NoError(t, p.store.Close())
		time.Sleep(2 * patience) // for what a broken store left behind
		failures = rec.failures
	})
	return failures
}

func ruleOf(t *testing.T, name string) rule {
	all := rules()
	i := slices.IndexFunc(all, func(r rule) bool { return r.name == name })
	require.GreaterOrEqual(t, i, 0, "no rule %q", name)
	return all[i]
}

// A store without a fault passes every rule, so what fails below fails for its
// fault.
func TestSound(t *testing.T) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) { require.Empty(t, record(t, r, plant{})) })
	}
	t.Run("slow to end leases", func(t *testing.T) {
		double := plant{limits: func(l *adapters.Limits) {
			l.ExpiryFactor, l.ExpiryLag, l.MinTTL = 2, 500*time.Millisecond, 10*time.Second
		}}
		for _, r := range rules() {
			require.Empty(t, record(t, r, double), r.name)
		}
	})
}

func TestPlanted(t *testing.T) {
	for _, pl := range plants() {
		t.Run(pl.name, func(t *testing.T) {
			for _, name := range pl.breaks {
				r := ruleOf(t, name)
				failures := record(t, r, pl)
				require.NotEmpty(t, failures, "rule %q did not notice", name)
				require.True(t, strings.HasPrefix(failures[0], fmt.Sprintf("rule %q: %s", r.name, r.why)), "a failure begins with the reason: %s", failures[0])
				t.Log(failures[0])
			}
		})
	}
}

// Every rule has a fault that it must notice, a name of its own and a reason.
func TestNoRuleUntested(t *testing.T) {
	made, seen := make(map[string]bool), make(map[string]bool)
	for _, pl := range plants() {
		for _, name := range pl.breaks {
			made[name] = true
		}
	}
	for _, r := range rules() {
		require.True(t, made[r.name], "no fault was planted for rule %q", r.name)
		require.False(t, seen[r.name], "two rules are called %q", r.name)
		require.NotEmpty(t, r.why, r.name)
		seen[r.name] = true
	}
}
