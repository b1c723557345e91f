// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/adapters"
)

// A grant is a lease as its owner knows it. Behind it there is one lease of
// etcd's after another: when etcd has a new leader, the keys move to a lease that
// only this one can have granted. See move.
type grant struct {
	id      int64 // that of the first one, by which the owner knows it
	seconds int64

	turn  chan struct{} // holds a value while somebody moves the keys or revokes
	over  bool          // revoked; guarded by turn
	tries int           // to move that were in vain; guarded by turn
	kept  time.Time     // when both leases were renewed during a move; guarded by turn

	// What follows is guarded by granted.mu, and changed by who has the turn.
	cur, prev int64  // the lease that the keys hang on, and the one before it
	term      uint64 // of a leader that had been elected before cur was asked for
	ask       int64  // the lease that was asked for, and perhaps granted
	next      int64  // the same once it is there: the keys are on their way to it
	then      uint64 // the term of ask and next
	moves     int
	seen      time.Time // when the owner asked last
	// Keys whose move was sent and not answered, as they were before it.
	sent map[string]before
}

// before is a key before its move.
type before struct{ created, mod, version int64 }

// An alias tells that a key was only moved, if that is all that was done to it
// since it had the Mod since.
type alias struct {
	since, now int64
	of         *grant
	move       int // the last one
}

// granted are all leases that a Store has granted and that have not ended.
type granted struct {
	mu    sync.RWMutex
	by    map[int64]*grant // by each lease that keys may hang on, and by id
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
	// Owners that are lost may leave without a word.
	for _, g := range gs.by {
		if time.Since(g.seen) > 10*time.Duration(g.seconds)*time.Second {
			gs.drop(g)
		}
	}
	gs.by[id] = &grant{
		id: id, seconds: seconds, turn: make(chan struct{}, 1), cur: id, term: term,
		seen: time.Now(), sent: make(map[string]before),
	}
}

// asked returns the grant that its owner asks to renew by id, or nil for a lease
// of others.
func (gs *granted) asked(id int64) *grant {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g := gs.by[id]
	if g != nil {
		g.seen = time.Now()
	}
	return g
}

func (gs *granted) of(id int64) *grant {
	gs.mu.RLock()
	defer gs.mu.RUnlock()
	return gs.by[id]
}

// forget is told of a lease that has ended.
func (gs *granted) forget(id int64) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g := gs.by[id]; g != nil {
		gs.drop(g)
	}
}

// drop needs gs.mu.
func (gs *granted) drop(g *grant) {
	for _, id := range []int64{g.id, g.cur, g.prev, g.next} {
		delete(gs.by, id)
	}
	for key, a := range gs.alias {
		if a.of == g {
			delete(gs.alias, key)
		}
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
func (gs *granted) behind(g *grant) []int64 {
	gs.mu.RLock()
	defer gs.mu.RUnlock()
	return slices.DeleteFunc([]int64{g.next, g.ask, g.cur, g.prev}, func(id int64) bool { return id == 0 })
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
	// All that it had since then it had by moves.
	if a, ok := gs.alias[key]; ok && a.since <= mod && mod < a.now {
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
		a.since = from
	}
	a.now, a.of, a.move = to, g, g.moves
	gs.alias[key] = a
	gs.step()
}

// inTheWay returns the grants without whose moves it cannot be told whether the
// conditions of tx hold, or what its writes would hide.
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
		sent := func(key string) bool { _, ok := g.sent[key]; return ok }
		if slices.ContainsFunc(tx.If, func(c adapters.Cond) bool {
			return sent(c.Key) || c.Kind == adapters.CondHeldBy && parseLease(c.Lease) == g.id
		}) || slices.ContainsFunc(tx.Then, func(op adapters.Op) bool { return sent(op.Key) }) {
			all = append(all, g)
		}
	}
	return all
}

// names says whether tx is about keys of the grant's lease by its own word.
func (g *grant) names(tx adapters.Tx) bool {
	return slices.ContainsFunc(tx.If, func(c adapters.Cond) bool {
		return c.Kind == adapters.CondHeldBy && parseLease(c.Lease) == g.id
	}) || slices.ContainsFunc(tx.Then, func(op adapters.Op) bool {
		return op.Kind == adapters.OpPutLeased && parseLease(op.Lease) == g.id
	})
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

// newID draws the number of a lease, as etcd would.
func newID() int64 { return 1 + rand.Int64N(1<<63-1) }
