// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/quorate/quorate/adapters"
)

// A grant is a lease as its owner knows it. Behind it there is one lease of
// etcd's after another: when etcd has a new leader, the keys move to a lease that
// only this one can have granted. See move.
type grant struct {
	id      int64 // that of the first one, by which the owner knows it
	seconds int64

	turn chan struct{} // holds a value while somebody moves the keys

	// What follows is guarded by grants.mu, and changed by who has the turn.
	cur  int64  // the lease that the keys hang on
	term uint64 // of a leader that had been elected when it was asked for
	next int64  // the lease that they are on their way to; 0 if they are not
	then uint64 // the term of next
	old  []int64
	// Keys whose move was sent and not answered, as they were before it.
	sent map[string]before
}

// before is a key before its move.
type before struct{ mod, version int64 }

// An alias is the newest Mod of a key that was only moved since it had others.
type alias struct {
	of  []int64
	now int64
}

// granted are all leases that a Store has granted and that have not ended.
type granted struct {
	mu    sync.RWMutex
	by    map[int64]*grant // by each lease that is or was behind it
	alias map[string]alias // of keys that were moved
	steps atomic.Uint64    // counts what moves have changed
	busy  atomic.Int32     // how many have keys that are on their way
}

// step is told that a move has changed something. The caller holds gs.mu.
func (gs *granted) step() {
	gs.steps.Add(1)
	busy := 0
	for id, g := range gs.by {
		if g.next != 0 && id == g.id {
			busy++
		}
	}
	gs.busy.Store(int32(busy))
}

func (gs *granted) add(id, seconds int64, term uint64) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.by == nil {
		gs.by, gs.alias = make(map[int64]*grant), make(map[string]alias)
	}
	gs.by[id] = &grant{id: id, seconds: seconds, turn: make(chan struct{}, 1), cur: id, term: term, sent: make(map[string]before)}
}

// of returns the grant that a lease belongs to, or nil for a lease of others.
func (gs *granted) of(id int64) *grant {
	gs.mu.RLock()
	defer gs.mu.RUnlock()
	return gs.by[id]
}

// forget is told of a lease that has ended.
func (gs *granted) forget(id int64) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g := gs.by[id]
	if g == nil {
		return
	}
	for _, behind := range append(slices.Clone(g.old), g.id, g.cur, g.next) {
		delete(gs.by, behind)
	}
	if len(gs.by) == 0 {
		clear(gs.alias) // whose owners have gone
	}
	gs.step()
}

// actual returns the lease that a write has to name, and that a key on its way
// will hang on.
func (gs *granted) actual(id int64) int64 {
	gs.mu.RLock()
	defer gs.mu.RUnlock()
	switch g := gs.by[id]; {
	case g == nil:
		return id
	case g.next != 0:
		return g.next
	default:
		return g.cur
	}
}

// behind returns the leases to revoke, those with keys first.
func (gs *granted) behind(id int64) []int64 {
	gs.mu.RLock()
	defer gs.mu.RUnlock()
	g := gs.by[id]
	if g == nil {
		return []int64{id}
	}
	all := append([]int64{g.cur}, g.old...)
	if g.next != 0 {
		all = append([]int64{g.next}, all...)
	}
	return all
}

// known returns the lease that its owner knows.
func (gs *granted) known(id int64) int64 {
	if g := gs.of(id); g != nil {
		return g.id
	}
	return id
}

// mod returns what Mod the key has if it had the one given and was only moved.
func (gs *granted) mod(key string, mod int64) int64 {
	gs.mu.RLock()
	defer gs.mu.RUnlock()
	if a, ok := gs.alias[key]; ok && slices.Contains(a.of, mod) {
		return a.now
	}
	return mod
}

// moved notes that a key was moved and nothing else.
func (gs *granted) moved(g *grant, key string, from, to int64) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	delete(g.sent, key)
	a := gs.alias[key]
	if a.now != from {
		a = alias{}
	}
	// A key that moves again and again is one whose owner may know any of its
	// Mods; those of the last few leaders will do.
	const most = 8
	if a.of = append(a.of, from); len(a.of) > most {
		a.of = a.of[1:]
	}
	a.now = to
	gs.alias[key] = a
	gs.step()
}

// inTheWay returns the grants without whose moves it cannot be told whether the
// conditions of tx hold.
func (gs *granted) inTheWay(tx adapters.Tx) (all []*grant) {
	if gs.busy.Load() == 0 {
		return nil
	}
	gs.mu.RLock()
	defer gs.mu.RUnlock()
	for id, g := range gs.by {
		if g.next == 0 || id != g.id {
			continue
		}
		if slices.ContainsFunc(tx.If, func(c adapters.Cond) bool {
			_, sent := g.sent[c.Key]
			return sent || c.Kind == adapters.CondHeldBy && parseLease(c.Lease) == g.id
		}) {
			all = append(all, g)
		}
	}
	return all
}

// take takes the turn, or returns why ctx ended.
func (g *grant) take(ctx context.Context) error {
	select {
	case g.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *grant) give() { <-g.turn }
