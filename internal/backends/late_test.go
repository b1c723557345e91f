// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// TestLateWriteLeavesNoOrphan has a create of a slot reach the server after
// its caller has given up, and has read that it is not there. The session lives
// on, so an orphan would block the lock for as long as the process runs.
//
// Then the same with rule R2 broken, to show that the first can fail.
func TestLateWriteLeavesNoOrphan(t *testing.T) {
	for name, start := range map[string]func(*testing.T, int) *backend{"etcd": startEtcd, "consul": startConsul} {
		t.Run(name, func(t *testing.T) { lateOn(t, start(t, 1)) })
	}
}

func lateOn(t *testing.T, b *backend) {
	const runs = 100
	t.Run("fenced", func(t *testing.T) {
		orphans := lateWrites(t, b, runs, func(s adapters.Store, _ string) adapters.Store { return s }, patience/2)
		require.Zero(t, orphans, "of %d runs", runs)
	})
	t.Run("not fenced", func(t *testing.T) {
		orphans := lateWrites(t, b, runs, func(s adapters.Store, prefix string) adapters.Store {
			return unfenced{s, prefix + "/session/"}
		}, time.Second/2)
		t.Logf("%d orphans in %d runs", orphans, runs)
		// Where the machine is so slow that the write is not late, there is none.
		require.Greater(t, orphans, runs/10)
	})
}

// unfenced takes the condition on the session key off every write to others.
type unfenced struct {
	adapters.Store
	sessions string
}

func (u unfenced) Commit(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	ours := func(key string) bool { return strings.HasPrefix(key, u.sessions) }
	if !slices.ContainsFunc(tx.Then, func(op adapters.Op) bool { return ours(op.Key) }) {
		tx.If = slices.DeleteFunc(slices.Clone(tx.If), func(c adapters.Cond) bool { return ours(c.Key) })
	}
	return u.Store.Commit(ctx, tx)
}

// A network is what stands between a session of that prefix and its store.
type network func(s adapters.Store, prefix string) adapters.Store

// lateWrites returns in how many runs a slot was left. Many run at once, each
// with a session, a lock and a network of its own. A slot that is there for as
// long as stay, after everything that was on its way has arrived, was left.
func lateWrites(t *testing.T, b *backend, runs int, with network, stay time.Duration) (orphans int) {
	const clients, atOnce = 5, 34
	type outcome struct {
		left bool
		err  error
	}
	done := make(chan outcome)
	room := make(chan struct{}, atOnce)
	for range clients {
		store, mine := b.open(t), runs/clients
		for range mine {
			prefix := fmt.Sprint("late-", benches.Add(1))
			go func() {
				room <- struct{}{}
				left, err := lateWrite(store, with, prefix, stay)
				<-room
				done <- outcome{left, err}
			}()
		}
	}
	var errs []error
	for range runs {
		o := <-done
		if o.left {
			orphans++
		}
		errs = append(errs, o.err)
	}
	require.NoError(t, errors.Join(errs...))
	return orphans
}

// lateWrite says whether a slot was left.
func lateWrite(store adapters.Store, with network, prefix string, stay time.Duration) (left bool, err error) {
	const late, givenUp = 300 * time.Millisecond, 100 * time.Millisecond
	all, stop := context.WithTimeout(context.Background(), 2*patience)
	defer stop()
	dir := prefix + "/mutex/l/"
	net := adaptertest.Wrap(store)
	s, err := session.Open(all, with(net, prefix), &session.Options{Prefix: prefix, TTL: long})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	m, err := mutex.New(s, "l", nil)
	if err != nil {
		return false, err
	}
	inc, err := s.Current(all)
	if err != nil {
		return false, err
	}

	ctx, cancel := context.WithCancelCause(all)
	defer cancel(nil)
	over := make(chan time.Time, 1)
	net.Inject(func(c adaptertest.Call) bool {
		if c.Method != "Commit" || c.Tx.Then[0].Kind != adapters.OpPutLeased || !strings.HasPrefix(c.Tx.Then[0].Key, dir) {
			return false
		}
		time.AfterFunc(givenUp, func() {
			over <- time.Now()
			cancel(errGivenUp)
		})
		return true
	}, adaptertest.Fault{Before: late, Late: true, Times: 1})
	if _, err := m.Lock(ctx); !errors.Is(err, errGivenUp) {
		return false, fmt.Errorf("%s: lock returned %w", prefix, err)
	}
	if took := time.Since(<-over); took > time.Second {
		return false, fmt.Errorf("%s: lock returned %v after it was given up", prefix, took)
	}
	net.Wait()

	// The write has been applied or refused, and nothing else is on its way but
	// its deletion, if the machine was so slow that it came to that.
	left, err = stays(all, store, dir, stay)
	if err != nil {
		return false, err
	}
	if err := inc.Check(); err != nil {
		return false, fmt.Errorf("%s: the session has to be alive, or this proves nothing: %w", prefix, err)
	}
	if left {
		return true, nil
	}
	other, err := session.Open(all, store, &session.Options{Prefix: prefix, TTL: long})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	if m, err = mutex.New(other, "l", nil); err != nil {
		return false, err
	}
	bound, done := context.WithTimeout(all, 5*time.Second)
	defer done()
	h, err := m.Lock(bound)
	if err != nil {
		return false, fmt.Errorf("%s: the lock is not free: %w", prefix, err)
	}
	if err := h.Unlock(); err != nil && !errors.Is(err, adapters.ErrUnknown) {
		return false, err
	}
	return false, nil
}

// stays says whether dir is still not empty after some time.
func stays(ctx context.Context, store adapters.Store, dir string, some time.Duration) (bool, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(some); ; <-tick.C {
		last := time.Now().After(end)
		view, err := store.Read(ctx, dir)
		if err != nil || len(view.KVs) == 0 || last {
			return err == nil && len(view.KVs) > 0, err
		}
	}
}
