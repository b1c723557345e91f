// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/session"
)

// A life is one membership of a process: from the taking of the member key,
// whose Created is the life's number, to its end with the session or in order.
//
// What has to be done is never a consequence of what happened, but of what is
// true now: each pass of reconcile looks at the plan, at what is known of the
// claims, and at how far the work is, and starts what is missing. So it does
// not matter in which order plans, notes and answers come, or whether some were
// skipped.
type life struct {
	g       *Group
	inc     *session.Incarnation
	hand    Handler
	id      string
	created adapters.Rev
	free    func() // lets the next life of this process have the member key

	ctx   context.Context // ends when all goroutines of the life have to
	end   context.CancelCauseFunc
	wg    sync.WaitGroup
	again chan struct{} // something has changed: reconcile
	newer chan struct{} // there is a newer plan: for the planner

	mu         sync.Mutex // protects what follows
	record     memberJSON
	table      *Table
	scanned    *Table // for shards that are to be ours
	states     map[int]*state
	peers      map[string]*peer
	ready      map[int]adapters.Rev // lives that have prepared for a shard of ours
	sending    map[string]bool      // members that shards are being handed over to
	telling    map[string]bool      // members that are being told what we are ready for
	inspecting bool
	notes      uint64 // written so far
	leaving    time.Time
	stopping   error // why all work has to stop; nil if it has not
	missing    bool  // the member key is, although the session is alive
	stuck      error // why the member has to go although work has not returned
	failed     error // what makes it impossible to go on
}

// live is one life. It returns session.ErrLost if the session was lost, the
// cause of ctx after it has left in order, or what went wrong.
func (g *Group) live(ctx context.Context, inc *session.Incarnation, hand Handler) error {
	work, err := inc.Begin("shard group", g.name)
	if err != nil {
		return err
	}
	defer work.Done()
	l := &life{
		g: g, inc: inc, hand: hand, again: make(chan struct{}, 1), newer: make(chan struct{}, 1),
		table: newTable(g.shards), states: make(map[int]*state), peers: make(map[string]*peer),
		ready: make(map[int]adapters.Rev), sending: make(map[string]bool), telling: make(map[string]bool),
	}
	l.ctx, l.end = context.WithCancelCause(context.Background())
	defer l.end(ErrLeft)
	defer context.AfterFunc(inc.Context(), l.kick)()
	defer context.AfterFunc(ctx, l.kick)()
	if err := l.join(ctx); err != nil {
		return err
	}
	l.spawn(l.followPlan)
	l.spawn(l.readNotes)
	l.spawn(l.stand)
	err = l.run(ctx)
	l.end(err)
	l.wg.Wait()
	return err
}

func (l *life) spawn(f func()) { l.wg.Go(f) }

func (l *life) kick() {
	select {
	case l.again <- struct{}{}:
	default:
	}
}

// join takes the member key, waiting while another life has it.
func (l *life) join(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.inc.Context(), func() { cancel(context.Cause(l.inc.Context())) })()
	o := &l.g.opts
	if l.id = o.Member; l.id == "" {
		l.id = l.inc.ID()
	}
	l.record = memberJSON{
		Version: recordVersion, ID: l.id, Session: l.inc.ID(), Address: o.Address, Weight: o.Weight, Capacity: o.Capacity,
		Zone: o.Zone, Release: o.Version, Prepares: l.hand.Prepare != nil,
	}
	key := l.g.keys.member(l.id)
	// The key's name is used again by the next life under the same lease, so no
	// deletion of this one may come late.
	free, err := l.g.s.Alone(ctx, key, true)
	if err != nil {
		return fmt.Errorf("member %q: %w", l.id, err)
	}
	l.free = free
	defer func() {
		switch {
		case err == nil:
		case errors.Is(err, adapters.ErrUnknown):
			_ = l.inc.Remove(key, true, free)
		default:
			free()
		}
	}()
	for {
		l.inc.Own(key)
		res, err := l.inc.Commit(ctx, adapters.Tx{
			If:    []adapters.Cond{adapters.Absent(key)},
			Then:  []adapters.Op{adapters.PutLeased(key, encode(l.record), l.inc.Lease())},
			Reads: []string{key},
		})
		if err == nil {
			kv, there := res.Views[0].Get(key)
			if !there {
				continue
			}
			l.created = kv.Created
			l.g.s.Logger().Info("joined shard group", "group", l.g.name, "member", l.id, "life", l.created)
			return nil
		}
		if !errors.Is(err, adapters.ErrConflict) {
			return err
		}
		if err := l.inc.Verify(ctx); err != nil {
			return err
		}
		if err := l.awaitKey(ctx, key); err != nil {
			return fmt.Errorf("member %q: %w", l.id, err)
		}
	}
}

// awaitKey waits until the member key is free.
func (l *life) awaitKey(ctx context.Context, key string) error {
	told := false
	for view, err := range l.g.s.Store().Watch(ctx, key) {
		if err != nil {
			return err
		}
		kv, there := view.Get(key)
		if !there {
			return nil
		}
		if !told {
			told = true
			other, _ := decodeMember(kv)
			l.g.s.Logger().Warn("member id is in use, waiting", "group", l.g.name, "member", l.id, "session", other.Session)
		}
	}
	return context.Cause(ctx)
}

// followPlan keeps the table up to date.
func (l *life) followPlan() {
	p := plans{l.g.s.Store(), l.g.keys, l.g.shards}
	for t, err := range p.follow(l.ctx) {
		if err != nil {
			l.fail(err)
			return
		}
		l.mu.Lock()
		l.table = t
		// Whom the plan tells something new of is worth another look.
		for id := range l.peers {
			if n, there := t.number(id); !there || t.members[n].since > l.peers[id].seen {
				delete(l.peers, id)
			}
		}
		l.mu.Unlock()
		l.g.saw(t)
		select {
		case l.newer <- struct{}{}:
		default:
		}
		if n, there := t.number(l.id); there && t.members[n].gone {
			l.spawn(l.verify)
		}
		l.kick()
	}
}

// verify makes sure that the member key is there. Without it others may take our
// shards, whoever it was that deleted it.
func (l *life) verify() {
	key := l.g.keys.member(l.id)
	view, err := l.inc.Read(l.ctx, key)
	if err != nil {
		return
	}
	if kv, there := view.Get(key); !there || kv.Created != l.created {
		l.mu.Lock()
		l.missing = true
		l.mu.Unlock()
		l.kick()
	}
}

// fail ends the life, unless it has ended, with an error that trying again
// cannot mend.
func (l *life) fail(err error) {
	if l.ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	if l.failed == nil {
		l.failed = err
	}
	l.mu.Unlock()
	l.kick()
}

// run reconciles until the life is over.
func (l *life) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if err := l.lost(); err != nil {
			l.free() // the member key goes with the lease
			return err
		}
		wake, over := l.reconcile(ctx)
		if over {
			return l.depart(ctx)
		}
		timer.Reset(wake)
		select {
		case <-l.again:
		case <-timer.C:
		}
	}
}

// lost ends everything if the session was lost, and returns the cause.
func (l *life) lost() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.inc.Check()
	if err == nil && l.missing {
		err = fmt.Errorf("%w: the member key was deleted", session.ErrLost)
	}
	if err == nil {
		return nil
	}
	for _, st := range l.states {
		st.drop(err)
	}
	return err
}

// depart gives up the member key. All work has returned, or is not waited for.
func (l *life) depart(ctx context.Context) error {
	l.mu.Lock()
	err := errors.Join(l.failed, l.stuck)
	for _, st := range l.states {
		st.drop(ErrLeft)
	}
	l.mu.Unlock()
	removed := l.inc.Remove(l.g.keys.member(l.id), false, l.free)
	if errors.Is(removed, adapters.ErrConflict) {
		removed = nil // somebody else removed it
	}
	// Without a member key nobody writes another note.
	if view, err := l.inc.Read(l.ctx, l.g.keys.inbox(l.id)); err == nil {
		names := make([]string, len(view.KVs))
		for i, kv := range view.KVs {
			names[i] = kv.Key
		}
		l.discard(names)
	}
	l.g.s.Logger().Info("left shard group", "group", l.g.name, "member", l.id, "life", l.created)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case removed != nil:
		return removed
	}
	return context.Cause(l.inc.Context())
}

// leave begins to leave in order: the plan is asked to move our shards.
func (l *life) leave() {
	l.leaving = time.Now()
	l.record.Draining = true
	value := encode(l.record)
	l.spawn(func() {
		key := l.g.keys.member(l.id)
		_, err := l.inc.Commit(l.ctx, adapters.Tx{
			If:   []adapters.Cond{adapters.HeldBy(key, l.inc.Lease())},
			Then: []adapters.Op{adapters.PutKeep(key, value)},
		})
		if err != nil && l.ctx.Err() == nil {
			l.g.s.Logger().Warn("cannot ask for the shards to move", "group", l.g.name, "member", l.id, "cause", err)
			l.mu.Lock()
			l.stopping = ErrLeft
			l.mu.Unlock()
			l.kick()
		}
	})
}
