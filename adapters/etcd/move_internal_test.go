// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/quorate/quorate/adapters"
)

// TestTrustEndsBeforeAnyLeader: whatever leaders sleep and wake, and whatever
// becomes of calls, no key of a lease is gone while its owner may trust the
// lease: for a TTL from the sending of the last renewal that was confirmed.
func TestTrustEndsBeforeAnyLeader(t *testing.T) {
	runs, lost, woken := 500, 0, 0
	if os.Getenv("QUORATE_LONG") != "" {
		runs = 20000
	}
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) {
			o := live(t, uint64(seed), false)
			require.Empty(t, o.broken, "seed %d", seed)
			lost += o.lost
			woken += o.woken
		})
	}
	t.Logf("%d runs: %d leases ended in time, woken leaders ended %d leases that had no keys any more or were not trusted", runs, lost, woken)
	require.Less(t, lost, runs/2, "most leases live through it")
	require.Positive(t, woken)
}

// TestTrustNeedsTheTerm: where answers do not tell of new leaders, the same
// finds keys that are gone too early.
func TestTrustNeedsTheTerm(t *testing.T) {
	broken := 0
	for seed := range 100 {
		synctest.Test(t, func(t *testing.T) {
			if len(live(t, uint64(seed), true).broken) > 0 {
				broken++
			}
		})
	}
	require.Greater(t, broken, 20)
}

// outcome is what became of a lease and its owner.
type outcome struct {
	broken []string
	lost   int
	woken  int // leases that woken leaders have ended
}

// live has an owner keep a lease with some keys through half a minute of leaders
// that change, sleep and wake.
func live(t *testing.T, seed uint64, blind bool) (o outcome) {
	const ttl = 4 * time.Second
	ctx, cancel := context.WithCancel(t.Context())
	w := newWorld(seed)
	w.blind = blind
	rng := rand.New(rand.NewPCG(seed, 1))
	s := w.store(ctx)
	try := func(f func(ctx context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, ttl/6)
		defer cancel()
		return f(ctx)
	}
	var trusted time.Time // guarded by w.mu
	w.gone = func(kv *mvccpb.KeyValue, by string) {
		if by != "the leader" {
			o.woken++
		}
		if strings.HasPrefix(string(kv.Key), "k/") && time.Now().Before(trusted) {
			o.broken = append(o.broken, fmt.Sprintf("%s: gone by %s %v early", kv.Key, by, time.Until(trusted)))
		}
	}
	go w.lives(ctx)

	var lease adapters.Lease
	for lease.ID == "" {
		_ = try(func(ctx context.Context) (err error) { lease, err = s.Grant(ctx, ttl); return err })
	}
	// Another owner on the same Store, who dies at some time without a word.
	var other adapters.Lease
	for other.ID == "" {
		_ = try(func(ctx context.Context) (err error) { other, err = s.Grant(ctx, ttl); return err })
	}
	_ = try(func(ctx context.Context) error {
		_, err := s.Commit(ctx, adapters.Tx{If: []adapters.Cond{adapters.Absent("o/0")}, Then: []adapters.Op{adapters.PutLeased("o/0", nil, other.ID)}})
		return err
	})
	dies := time.Now().Add(time.Duration(rng.IntN(20000)) * time.Millisecond)
	go func() {
		for ctx.Err() == nil && time.Now().Before(dies) {
			_ = try(func(ctx context.Context) error { _, err := s.Renew(ctx, other.ID); return err })
			_ = pause(ctx, ttl/6)
		}
	}()
	behind := s.grants.of(parseLease(other.ID)) // forgotten later, perhaps

	key := func(i int) string { return fmt.Sprintf("k/%d", i) }
	var mod adapters.Rev // of key 0, as its owner knows it
	for i := range 3 {
		for {
			err := try(func(ctx context.Context) error {
				res, err := s.Commit(ctx, adapters.Tx{If: []adapters.Cond{adapters.Absent(key(i))}, Then: []adapters.Op{adapters.PutLeased(key(i), []byte{byte(i)}, lease.ID)}})
				if err == nil && i == 0 {
					mod = res.Rev
				}
				return err
			})
			if err == nil || errors.Is(err, adapters.ErrConflict) || errors.Is(err, adapters.ErrLeaseLost) {
				break
			}
		}
	}
	go func() { // what happens to leaders
		for ctx.Err() == nil {
			_ = pause(ctx, time.Duration(rng.IntN(8000))*time.Millisecond)
			w.elect()
			_ = pause(ctx, time.Duration(rng.IntN(8000))*time.Millisecond)
			w.wake()
		}
	}()
	wait := time.Duration(0)
	// Then he is cut off, and trusts what he was told last.
	lasts := time.Duration(5000+rng.IntN(20000)) * time.Millisecond
	for began := time.Now(); time.Since(began) < lasts; {
		_ = pause(ctx, wait)
		sent := time.Now()
		err := try(func(ctx context.Context) error { _, err := s.Renew(ctx, lease.ID); return err })
		if wait = 50 * time.Millisecond; err == nil {
			wait = ttl / 3
			w.mu.Lock()
			trusted = sent.Add(ttl)
			w.mu.Unlock()
		}
		w.mu.Lock()
		over := !trusted.IsZero() && time.Now().After(trusted)
		w.mu.Unlock()
		if errors.Is(err, adapters.ErrLeaseLost) || over {
			w.mu.Lock()
			if time.Now().Before(trusted) && w.alive(key(0), key(1), key(2)) {
				o.broken = append(o.broken, "told that a lease is lost that is there")
			}
			w.mu.Unlock()
			o.lost++
			break
		}
		if mod == 0 {
			continue
		}
		// Its owner's fence holds, or the write that it is on has no answer.
		err = try(func(ctx context.Context) error {
			_, err := s.Commit(ctx, adapters.Tx{If: []adapters.Cond{adapters.Unchanged(key(0), mod)}, Reads: []string{key(1)}})
			return err
		})
		w.mu.Lock()
		if errors.Is(err, adapters.ErrLeaseLost) && time.Now().Before(trusted) && w.alive(key(0), key(1), key(2)) {
			o.broken = append(o.broken, "a commit says that a lease is lost that is there")
		}
		if errors.Is(err, adapters.ErrConflict) && w.keys[key(0)] != nil && time.Now().Before(trusted) {
			o.broken = append(o.broken, "a key that was only moved is not what it was")
		}
		w.mu.Unlock()
	}
	<-time.After(ttl + time.Second)
	cancel()
	<-time.After(time.Second) // for what is still on its way
	synctest.Wait()
	if behind != nil {
		for _, id := range []int64{behind.id, behind.cur, behind.next, behind.prev} {
			if at := w.asked[id]; at.After(dies.Add(ttl)) {
				o.broken = append(o.broken, fmt.Sprintf("lease %d of a dead owner was renewed %v after his death", id, at.Sub(dies)))
			}
		}
	}
	return o
}
