// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/stretchr/testify/require"
)

// A place is the one thing that processes contend for, as each of them sees it.
type place struct {
	mu      sync.Mutex
	trusted map[int]time.Time // by whom it is held, until when he may trust that
	taken   int
	clashes []string
}

// take is called when process i has got the place, on a lease that it may trust
// until then.
func (p *place) take(i int, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken++
	for j, end := range p.trusted {
		if j != i && end.After(time.Now()) {
			p.clashes = append(p.clashes, end.Sub(time.Now()).String())
		}
	}
	p.trusted[i] = until
}

func (p *place) trust(i int, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, holds := p.trusted[i]; holds {
		p.trusted[i] = until
	}
}

func (p *place) leave(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.trusted, i)
}

// TestNeverTwoHolders has processes contend for a place while somebody removes
// the node of all leases from the catalog, again and again. Nobody may get the
// place while one before him trusts that it is still his (rule R4).
func TestNeverTwoHolders(t *testing.T) {
	runs := 25
	if testing.Short() {
		runs = 8
	}
	taken := 0
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			p := &place{trusted: make(map[int]time.Time)}
			end := time.Now().Add(10 * time.Minute)
			var all sync.WaitGroup
			for i := range 4 {
				rnd := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
				store := f.store(t, consul.Options{})
				all.Go(func() { contend(t.Context(), store, p, i, rnd, end) })
			}
			rnd := rand.New(rand.NewPCG(uint64(seed), 99))
			for time.Now().Before(end) {
				time.Sleep(time.Duration(rnd.IntN(120_000)) * time.Millisecond)
				f.deregister("quorate")
				if rnd.IntN(3) == 0 { // by hand
					f.register(api.CatalogRegistration{Node: "quorate", NodeMeta: map[string]string{"quorate": "leases"}})
				}
			}
			all.Wait()
			require.Empty(t, p.clashes, "seed %d: somebody trusted for that long after another one had the place", seed)
			taken += p.taken
		})
	}
	require.Greater(t, taken, 10*runs, "the place changed hands, or the test shows nothing")
}

// contend is one process: it keeps a lease, takes the place when it is free, and
// leaves it after a while. Now and then it stands still.
func contend(ctx context.Context, store *consul.Store, p *place, i int, rnd *rand.Rand, end time.Time) {
	const key = "a/place"
	for time.Now().Before(end) {
		sent := time.Now()
		lease, err := store.Grant(ctx, time.Duration(1+rnd.IntN(60))*time.Second)
		if err != nil {
			time.Sleep(time.Duration(rnd.IntN(5000)) * time.Millisecond)
			continue
		}
		until, renewed, holds := sent.Add(lease.TTL), sent, false
		for time.Now().Before(until) && time.Now().Before(end) {
			if !holds {
				_, err := store.Commit(ctx, adapters.Tx{
					If:   []adapters.Cond{adapters.Absent(key)},
					Then: []adapters.Op{adapters.PutLeased(key, nil, lease.ID)},
				})
				if holds = err == nil; holds {
					p.take(i, until)
				}
			} else if rnd.IntN(20) == 0 {
				p.leave(i)
				_, _ = store.Commit(ctx, adapters.Tx{
					If:   []adapters.Cond{adapters.HeldBy(key, lease.ID)},
					Then: []adapters.Op{adapters.Delete(key)},
				})
				holds = false
			}
			time.Sleep(time.Duration(rnd.IntN(2000)) * time.Millisecond)
			if rnd.IntN(30) == 0 { // swapped out
				time.Sleep(time.Duration(rnd.IntN(30)) * time.Second)
			}
			if time.Since(renewed) > lease.TTL/3 && time.Now().Before(until) {
				sent = time.Now()
				_, err = store.Renew(ctx, lease.ID)
				switch {
				case errors.Is(err, adapters.ErrLeaseLost):
					until = sent
				case err == nil:
					renewed, until = sent, sent.Add(lease.TTL)
					p.trust(i, until)
				}
			}
		}
		// It trusts no more, or is at the end of its run.
		p.leave(i)
		_ = store.Revoke(ctx, lease.ID)
	}
}
