// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/stretchr/testify/require"
)

// die has every connection be refused.
func (f *fake) die() {
	f.scripted(func(context.Context, call) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	})
}

// says has every request be answered so.
func (f *fake) says(status int, text string) {
	f.scripted(func(context.Context, call) (*http.Response, error) { return reply(status, text), nil })
}

// twins are two agents of one datacenter: what the second one is asked the first
// one answers.
func twins() (*fake, *fake) {
	a, b := newFake(), newFake()
	b.scripted(func(ctx context.Context, c call) (*http.Response, error) { return a.serve(ctx, c) })
	return a, b
}

// asked says which of them the calls of do went to, as "ab".
func asked(do func(), agents ...*fake) (order string) {
	for _, f := range agents {
		f.forget()
	}
	do()
	for i, f := range agents {
		order += strings.Repeat(string(rune('a'+i)), min(f.count("PUT"), 1))
	}
	return order
}

// erase makes room for write.
var erase = adapters.Tx{Then: []adapters.Op{adapters.Delete("a/k")}}

func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twins()
		c := newFake()
		c.die()
		var log bytes.Buffer
		store := a.store(t, consul.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, b, c)
		commit := func() (err error) {
			_, err = store.Commit(t.Context(), erase)
			return err
		}
		require.Equal(t, "a", asked(func() { require.NoError(t, commit()) }, a, b, c))
		require.Empty(t, log.String())

		// A call fails with the agent, and the next one has the next agent.
		a.die()
		require.Equal(t, "a", asked(func() { only(t, commit(), nil, "refused") }, a, b, c))
		require.Equal(t, "b", asked(func() { require.NoError(t, commit()) }, a, b, c))
		require.Contains(t, log.String(), "calls move to the next client")
		require.Contains(t, log.String(), "connection refused")

		// After the last comes the first again.
		b.die()
		require.Equal(t, "b", asked(func() { require.Error(t, commit()) }, a, b, c))
		require.Equal(t, "c", asked(func() { require.Error(t, commit()) }, a, b, c))
		a.scripted(nil)
		require.Equal(t, "a", asked(func() { require.NoError(t, commit()) }, a, b, c))
	})
}

// TestFailoverOnce: calls that fail together move on together, by one.
func TestFailoverOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twins()
		a.die()
		store := a.store(t, consul.Options{}, b)
		var calls sync.WaitGroup
		for range 6 {
			calls.Go(func() { _, _ = store.Commit(t.Context(), erase) })
		}
		calls.Wait()
		require.Equal(t, "b", asked(func() { _, _ = store.Commit(t.Context(), erase) }, a, b))
	})
}

// TestFailoverReasons: an agent is left when it does not answer or cannot reach
// a leader, and not for what it answers, nor when a caller loses patience.
func TestFailoverReasons(t *testing.T) {
	for what, c := range map[string]struct {
		break_ func(a *fake)
		do     func(context.Context, *consul.Store) error
		next   string
	}{
		"refused":         {(*fake).die, commit, "b"},
		"no leader":       {func(a *fake) { a.says(500, "No cluster leader") }, commit, "b"},
		"leadership lost": {func(a *fake) { a.says(500, "leadership lost while committing log") }, commit, "b"},
		"no slots":        {func(a *fake) { a.says(429, "Your IP is issuing too many concurrent connections") }, commit, "b"},
		"no Consul":       {func(a *fake) { a.says(200, "<html>") }, commit, "b"},
		"commit hangs":    {(*fake).freeze, commit, "b"},
		"renew hangs":     {(*fake).freeze, renew, "b"},
		"revoke hangs":    {(*fake).freeze, revoke, "b"},
		"grant hangs":     {(*fake).freeze, grant, "b"},
		"conflict":        {func(a *fake) { a.set("a/k", "") }, commit, "a"},
		"denied":          {func(a *fake) { a.says(403, "Permission denied") }, commit, "a"},
		"invalid":         {func(a *fake) { a.says(400, "Failed to parse body") }, commit, "a"},
		"lease lost":      {func(*fake) {}, renew, "a"},
		"lease gone":      {func(*fake) {}, revoke, "a"},
		"first grant":     {func(*fake) {}, grant, "a"},
		"nobody waits": {(*fake).freeze, func(ctx context.Context, s *consul.Store) error {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return commit(ctx, s)
		}, "a"},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, b := twins()
			store := a.store(t, consul.Options{}, b)
			c.break_(a)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			err := c.do(ctx, store)
			if what != "lease gone" && what != "first grant" {
				require.Error(t, err, what)
			}
			a.scripted(nil)
			require.Equal(t, c.next, asked(func() { _, _ = store.Commit(t.Context(), erase) }, a, b), what)
		})
	}
}

func commit(ctx context.Context, s *consul.Store) error { _, err := s.Commit(ctx, write); return err }
func renew(ctx context.Context, s *consul.Store) error  { _, err := s.Renew(ctx, leaseA); return err }
func revoke(ctx context.Context, s *consul.Store) error { return s.Revoke(ctx, leaseA) }
func grant(ctx context.Context, s *consul.Store) error {
	_, err := s.Grant(ctx, time.Minute)
	return err
}

// TestReadGoesOn: a read outlives an agent that hangs, with the next one, and
// without one with tries that take ever longer.
func TestReadGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twins()
		a.set("a/k", "v")
		a.freeze()
		store := a.store(t, consul.Options{}, b)
		start := time.Now()
		view, err := store.Read(t.Context(), "a/")
		require.NoError(t, err)
		require.Len(t, view.KVs, 1)
		require.Less(t, time.Since(start), 1100*time.Millisecond)
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		const slow = 5 * time.Second
		f.on(txnCall, func(ctx context.Context, c call) (*http.Response, error) {
			if err := pause(ctx, slow); err != nil {
				return nil, err
			}
			return nil, nil
		})
		store := f.store(t, consul.Options{})
		start := time.Now()
		_, err := store.Read(t.Context(), "a/")
		require.NoError(t, err)
		require.Equal(t, 4, f.count(txnCall), "tries of 1, 2, 4 and 8 s")
		require.Less(t, time.Since(start), 13*time.Second)

		f.freeze()
		reason := errors.New("reason")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Minute, reason)
		defer cancel()
		f.forget()
		_, err = store.Read(ctx, "a/")
		require.ErrorIs(t, err, reason)
		require.Equal(t, 29, f.count(txnCall), "the tries grow up to 24 s")
	})
}
