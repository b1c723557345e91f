// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

func TestInterop(t *testing.T) {
	server := servers.StartEtcd(t, 1)
	for name, test := range map[string]func(*bench){
		"order":             inOrder,
		"deaths":            deaths,
		"tries":             tries,
		"one lease":         oneLease,
		"values":            values,
		"names":             names,
		"versions of locks": versionsOfLocks,
		"versions of terms": versionsOfTerms,
		"stress":            stress,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newBench(t, server))
		})
	}
}

// each runs a test for several queues, written as "ours theirs ours".
func (w *bench) each(queues []string, test func(w *bench, key string, queue []string)) {
	for i, q := range queues {
		w.t.Run(q, func(t *testing.T) {
			t.Parallel()
			sub := *w
			sub.t = t
			sub.client, sub.store = sub.dial()
			test(&sub, fmt.Sprintf("%s/%d", strings.ReplaceAll(w.t.Name(), " ", "-"), i), strings.Split(q, ", "))
		})
	}
}

func inOrder(w *bench) {
	w.each([]string{
		"our lock, their lock, our lock, their lock, our lock, their lock",
		"their lock, our lock, their lock, our lock, their lock, our lock",
		"our lock, our lock, their lock, their lock, our lock, our lock",
		"our election, their election, our election, their election, our election, their election",
		"their election, our election, their election, our election, their election, our election",
		"our lock, their election, our election, their lock, their election, our lock, our election, their lock",
		"their election, our lock, their lock, our election, our lock, their election, our election, their lock",
	}, func(w *bench, key string, queue []string) {
		var all []*contender
		for _, who := range queue {
			all = append(all, w.enqueue(who, key))
		}
		for i, c := range all {
			w.gets(c)
			for _, later := range all[i+1:] {
				require.True(w.t, later.waits(), "%s was let in early", later.who)
			}
			require.NoError(w.t, c.leave())
		}
		w.until(key+"/", "an empty queue", func(v adapters.View) bool { return len(v.KVs) == 0 })
	})
}

// deaths end those that are marked, the last one first, while the first holds.
func deaths(w *bench) {
	w.each([]string{
		"their lock, our lock, their lock †, our lock †, their lock, our lock",
		"our lock, their lock, our lock †, their lock †, our lock, their lock",
		"our lock, their lock †, our lock, our lock †, their lock, our lock †, our lock",
		"their election, our election, their lock †, our election †, our election, their election",
		"our election, our election †, their election, our lock †, their election, our election",
	}, func(w *bench, key string, queue []string) {
		var living, dead []*contender
		for _, who := range queue {
			who, dies := strings.CutSuffix(who, " †")
			c := w.enqueue(who, key)
			if dies {
				dead = append(dead, c)
			} else {
				living = append(living, c)
			}
		}
		for i := range dead {
			dead[len(dead)-1-i].die()
		}
		require.Len(w.t, w.slots(key), len(living))
		for i, c := range living {
			w.gets(c)
			if i > 0 && i%2 == 0 {
				// A late word of the holder that died does not touch the next.
				_ = living[i-1].leave()
				require.Len(w.t, w.slots(key), len(living)-i)
			}
			for _, later := range living[i+1:] {
				require.True(w.t, later.waits(), "%s was let in early", later.who)
			}
			if i%2 == 0 {
				require.NoError(w.t, c.leave())
			} else {
				c.die() // holders die too
			}
		}
		_ = living[len(living)-1].leave()
		for _, c := range dead {
			err := w.returns(c)
			require.Error(w.t, err, "%s holds without a slot", c.who)
			if strings.HasPrefix(c.who, "our") {
				require.ErrorIs(w.t, err, session.ErrLost)
			} else {
				require.ErrorIs(w.t, err, concurrency.ErrSessionExpired)
			}
		}
	})
}

func tries(w *bench) {
	const key = "tries"
	theirs := concurrency.NewMutex(w.theirs(), key)
	ours, err := mutex.New(w.ours(session.Options{}), key, &mutex.Options{Verbatim: true})
	require.NoError(w.t, err)
	for range 3 {
		hold, err := ours.TryLock(w.within())
		require.NoError(w.t, err)
		require.ErrorIs(w.t, theirs.TryLock(w.within()), concurrency.ErrLocked)
		require.NoError(w.t, hold.Check())
		require.NoError(w.t, given(hold.Unlock()))
		w.until(key+"/", "a free lock", func(v adapters.View) bool { return len(v.KVs) == 0 })

		require.NoError(w.t, theirs.TryLock(w.within()))
		before := w.slots(key)
		_, err = ours.TryLock(w.within())
		require.ErrorIs(w.t, err, mutex.ErrLocked)
		require.Equal(w.t, before, w.slots(key))
		require.NoError(w.t, theirs.Unlock(w.within()))
	}
}

// oneLease has both sides contend on one lease, which we adopted.
func oneLease(w *bench) {
	const key = "one-lease"
	lease := w.theirs()
	s := w.ours(session.Options{Lease: adapters.LeaseID(fmt.Sprintf("%x", int64(lease.Lease()))), TTL: ttl})
	theirs := concurrency.NewMutex(lease, key)
	ours, err := mutex.New(s, key, &mutex.Options{Verbatim: true})
	require.NoError(w.t, err)
	hold, err := ours.Lock(w.within())
	require.NoError(w.t, err)
	require.ErrorIs(w.t, theirs.TryLock(w.within()), concurrency.ErrLocked)
	got := make(chan error, 1)
	go func() { got <- theirs.Lock(context.Background()) }()
	w.until(key+"/", "both", func(v adapters.View) bool { return len(v.KVs) == 2 })
	require.Empty(w.t, got)
	require.NoError(w.t, given(hold.Unlock()))
	require.NoError(w.t, <-got)
	_, err = ours.TryLock(w.within())
	require.ErrorIs(w.t, err, mutex.ErrLocked)
	require.NoError(w.t, theirs.Unlock(w.within()))
}

// stress lets four of each fight for a counter that nothing else protects.
func stress(w *bench) {
	const (
		key   = "stress"
		each  = 4
		lasts = 3 * time.Second
	)
	var (
		counter, holders, crowds atomic.Int64
		wg                       sync.WaitGroup
		rounds                   [2 * each]int64
		errs                     = make(chan error, 2*each)
	)
	// The counter is read and written in two steps: whoever is not alone loses one.
	work := func() {
		if holders.Add(1) != 1 {
			crowds.Add(1)
		}
		n := counter.Load()
		for range 100 {
			if holders.Load() != 1 {
				crowds.Add(1)
			}
		}
		counter.Store(n + 1)
		holders.Add(-1)
	}
	end := time.Now().Add(lasts)
	compete := func(i int, lock, unlock func() error) {
		wg.Go(func() {
			for time.Now().Before(end) {
				if err := lock(); err != nil {
					errs <- err
					return
				}
				work()
				rounds[i]++
				if err := unlock(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	for i := range each {
		m, err := mutex.New(w.ours(session.Options{}), key, &mutex.Options{Verbatim: true})
		require.NoError(w.t, err)
		var hold *mutex.Hold
		compete(i, func() (err error) { hold, err = m.Lock(context.Background()); return }, func() error { return given(hold.Unlock()) })
		theirs := concurrency.NewMutex(w.theirs(), key)
		compete(each+i, func() error { return theirs.Lock(context.Background()) }, func() error { return theirs.Unlock(context.Background()) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(w.t, err)
	}
	var sum int64
	for i, n := range rounds {
		require.Positive(w.t, n, "%d never got it", i)
		sum += n
	}
	w.t.Logf("%d rounds, each %v (four of ours, four of theirs)", sum, rounds)
	require.Zero(w.t, crowds.Load(), "more than one holder at once")
	require.Equal(w.t, sum, counter.Load(), "updates were lost")
	w.until(key+"/", "an empty queue", func(v adapters.View) bool { return len(v.KVs) == 0 })
}
