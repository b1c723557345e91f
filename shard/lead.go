// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/internal/line"
	"github.com/quorate/quorate/session"
)

// stand queues for the office of the planner and plans while it has it. Whoever
// dies in it leaves nothing half done: a plan is one transaction, and moves that it
// asks for go on without it.
func (l *life) stand() {
	name := l.g.name
	if l.g.opts.plant.anarchy {
		name += l.id
	}
	queue, err := line.New(l.g.s, "shard-planner", name, false)
	for err == nil {
		err = queue.Run(l.ctx, l.id, func(ctx context.Context, slot *line.Slot, _ func()) error {
			return l.lead(ctx, slot)
		})
		if l.ctx.Err() != nil || errors.Is(err, session.ErrLost) || errors.Is(err, session.ErrClosed) {
			return
		}
		if !final(err) {
			l.g.s.Logger().Warn("planning again", "group", l.g.name, "cause", err)
			err = sleep(l.ctx, 100*time.Millisecond)
		}
	}
	l.fail(err)
}

// office is what the planner knows.
type office struct {
	l     *life
	slot  *line.Slot
	plans plans

	table   *Table
	head    adapters.Rev // Mod of the head that table was read from
	base    string
	baseAt  uint64 // epoch of the base
	growth  int    // bytes of diffs since then
	members map[string]attendee
	lives   map[string]adapters.Rev // of the members when the last plan was made
	absent  absences
	pins    map[int]string
	load    []uint32

	first, last time.Time // changes that are not planned for yet
	window      time.Time // when MaxMoves began to count
	moved       int       // since then
}

// attendee is a member that is there.
type attendee struct {
	memberJSON
	life adapters.Rev
}

// news is what the planner's goroutines tell it.
type news struct {
	members map[string]attendee // nil if it is about something else
	pins    map[int]string
	load    []uint32
	err     error
}

// lead plans until ctx ends.
func (l *life) lead(ctx context.Context, slot *line.Slot) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o := &office{
		l: l, slot: slot, plans: plans{l.g.s.Store(), l.g.keys, l.g.shards},
		absent: absences{with: make(map[string]time.Time), vanished: make(map[string]time.Time)},
	}
	if err := o.open(ctx); err != nil {
		return err
	}
	o.sweepAll(ctx)
	tell := make(chan news)
	send := func(n news) bool {
		select {
		case tell <- n:
			return true
		case <-ctx.Done():
			return false
		}
	}
	done := make(chan struct{}, 3)
	for _, f := range []func(context.Context, func(news) bool){o.watchMembers, o.watchPins, o.askLoad} {
		go func() {
			f(ctx, send)
			done <- struct{}{}
		}()
	}
	defer func() {
		cancel()
		for range 3 {
			<-done
		}
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wake, err := o.plan(ctx)
		if err != nil {
			return err
		}
		timer.Reset(wake)
		select {
		case n := <-tell:
			if n.err != nil {
				return n.err
			}
			o.hear(n)
		case <-l.newer:
			if l.epoch() > o.table.epoch {
				// Somebody else has planned: while he still took himself for the
				// planner, or by hand. What he left is to be looked at.
				if err := o.open(ctx); err != nil {
					return err
				}
				o.hear(news{})
			}
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// open reads the plan, or begins one.
func (o *office) open(ctx context.Context) error {
	key := o.l.g.keys.head()
	for {
		view, err := o.l.inc.Read(ctx, key)
		if err != nil {
			return err
		}
		kv, there := view.Get(key)
		if !there {
			h := head{shards: o.l.g.shards}
			_, err := o.slot.Commit(ctx, adapters.Tx{
				If:   []adapters.Cond{adapters.Absent(key)},
				Then: []adapters.Op{adapters.Put(key, h.marshal())},
			})
			if err != nil && !errors.Is(err, adapters.ErrConflict) {
				return err
			}
			continue
		}
		h, err := parseHead(kv.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		table, err := o.plans.catchUp(ctx, newTable(o.l.g.shards), view)
		if errors.Is(err, errAgain) {
			continue
		}
		if err != nil {
			return err
		}
		o.table, o.head, o.base, o.baseAt = table, kv.Mod, h.base, h.baseEpoch
		return nil
	}
}

// watchMembers tells of the members until ctx ends.
func (o *office) watchMembers(ctx context.Context, send func(news) bool) {
	dir := o.l.g.keys.members()
	parsed := make(map[adapters.Rev]attendee) // by Mod: most have not changed
	for view, err := range o.l.g.s.Store().Watch(ctx, dir) {
		if err != nil {
			send(news{err: err})
			return
		}
		members := make(map[string]attendee, len(view.KVs))
		now := make(map[adapters.Rev]attendee, len(view.KVs))
		for _, kv := range view.KVs {
			a, known := parsed[kv.Mod]
			if !known || o.l.g.keys.member(a.ID) != kv.Key {
				rec, err := decodeMember(kv)
				if err != nil || o.l.g.keys.member(rec.ID) != kv.Key {
					o.l.g.s.Logger().Warn("member cannot be read", "group", o.l.g.name, "key", kv.Key, "cause", err)
					continue
				}
				a = attendee{rec, kv.Created}
			}
			now[kv.Mod] = a
			members[a.ID] = a
		}
		parsed = now
		if !send(news{members: members}) {
			return
		}
	}
}

// watchPins tells of the pins until ctx ends.
func (o *office) watchPins(ctx context.Context, send func(news) bool) {
	key := o.l.g.keys.pins()
	for view, err := range o.l.g.s.Store().Watch(ctx, key) {
		if err != nil {
			send(news{err: err})
			return
		}
		pins := map[int]string{}
		if kv, there := view.Get(key); there {
			var err error
			if pins, err = parsePins(kv); err != nil {
				o.l.g.s.Logger().Warn("pins cannot be read, planning without", "group", o.l.g.name, "cause", err)
				pins = map[int]string{}
			}
		}
		if !send(news{pins: pins}) {
			return
		}
	}
}

// askLoad asks for loads until ctx ends.
func (o *office) askLoad(ctx context.Context, send func(news) bool) {
	opts := &o.l.g.opts
	if opts.Load == nil {
		return
	}
	for {
		load, err := opts.Load(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil || len(load) != o.l.g.shards:
			o.l.g.s.Logger().Warn("loads are not known", "group", o.l.g.name, "shards", len(load), "cause", err)
		case !send(news{load: load}):
			return
		}
		if sleep(ctx, opts.LoadEvery) != nil {
			return
		}
	}
}

// hear takes note of news.
func (o *office) hear(n news) {
	now := time.Now()
	switch {
	case n.members != nil:
		o.members = n.members
	case n.pins != nil:
		o.pins = n.pins
	case n.load != nil:
		o.load = n.load
	}
	if o.first.IsZero() {
		o.first = now
	}
	o.last = now
}

// pinsJSON is the value of the pins key.
type pinsJSON struct {
	Version int            `json:"v"`
	Pins    map[int]string `json:"pins"`
}

func parsePins(kv adapters.KV) (map[int]string, error) {
	p, err := decode(kv, func(p pinsJSON) int { return p.Version })
	if p.Pins == nil {
		p.Pins = map[int]string{}
	}
	return p.Pins, err
}

// names lists ids for people: all of a few, or how many.
func names(what string, ids []string) string {
	switch {
	case len(ids) == 0:
		return ""
	case len(ids) > 3:
		return fmt.Sprintf("%s %d members", what, len(ids))
	}
	slices.Sort(ids)
	return what + " " + strings.Join(ids, ", ")
}
