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
	"github.com/quorate/quorate/session"
	"github.com/quorate/quorate/shard/planner"
)

// Limits of what is written at once. Everybody who watches the head gets the
// last diff, so a long one is left to the base, which is read once.
const (
	maxLast   = 16 << 10  // bytes of a diff in the head
	maxGrowth = 64 << 10  // bytes of diffs since the base
	maxDiffs  = 64        // number of them
	maxChunk  = 128 << 10 // bytes of one key of a base
)

// plan makes and writes a plan, if it is time for one, and says when to look
// again.
func (o *office) plan(ctx context.Context) (wake time.Duration, err error) {
	const long = time.Hour
	if o.members == nil || o.pins == nil || o.first.IsZero() {
		return long, nil
	}
	now := time.Now()
	opts := &o.l.g.opts
	due := o.last.Add(opts.Settle)
	if latest := o.first.Add(10 * opts.Settle); latest.Before(due) {
		due = latest
	}
	if now.Before(due) {
		return due.Sub(now), nil
	}
	if o.table.epoch == 0 && len(o.members) < opts.MinMembers {
		return long, nil
	}
	in, kept, next := o.input(now)
	plan, err := planner.Make(in)
	if err != nil {
		// Whatever it is, another planner would fare no better.
		o.l.g.s.Logger().Error("no plan can be made", "group", o.l.g.name, "cause", err)
		o.first = time.Time{}
		return long, nil
	}
	d := o.diff(&plan, kept)
	if len(d.moves)+len(d.names)+len(d.gone) > 0 {
		if err := o.write(ctx, d, &plan); err != nil {
			if !errors.Is(err, adapters.ErrConflict) {
				return 0, err
			}
			// Another planner, while our slot goes or has gone, or somebody who
			// destroys the group. If it is a planner who sees other members than we
			// do, we must not take turns without a pause.
			o.hear(news{})
			return opts.Settle, o.open(ctx)
		}
	}
	o.lives = make(map[string]adapters.Rev, len(o.members))
	for id, a := range o.members {
		o.lives[id] = a.life
	}
	o.first = time.Time{}
	if plan.Deferred > 0 {
		next = earlier(next, o.window.Add(opts.MoveEvery))
	}
	if next.IsZero() {
		return long, nil
	}
	o.first, o.last = next.Add(-opts.Settle), next.Add(-opts.Settle)
	return max(next.Sub(now), time.Millisecond), nil
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// input returns what to plan from: the members that are there, and those that
// are not and whose shards are to wait for them (kept). Next is when that changes
// by itself.
func (o *office) input(now time.Time) (in planner.Input, kept map[string]bool, next time.Time) {
	opts := &o.l.g.opts
	in = planner.Input{
		Shards: o.l.g.shards, Prev: o.table.plan(), Pins: map[int]string{}, Load: o.load,
		Prefer: o.newest(), Seed: seed(o.l.g.name),
	}
	if opts.MaxMoves > 0 {
		if now.Sub(o.window) >= opts.MoveEvery {
			o.window, o.moved = now, 0
		}
		if in.MaxMoves = opts.MaxMoves - o.moved; in.MaxMoves <= 0 {
			in.MaxMoves = planner.NoMoves
		}
	}
	for s, id := range o.pins {
		if s >= 0 && s < in.Shards {
			in.Pins[s] = id
		}
	}
	for _, a := range o.members {
		in.Members = append(in.Members, planner.Member{
			ID: a.ID, Weight: min(max(a.Weight, 0), planner.MaxWeight), Capacity: max(a.Capacity, 0),
			Zone: a.Zone, Version: a.Release, Draining: a.Draining,
		})
	}
	kept, next = o.keep(now)
	count := make(map[string]int)
	for s, n := range o.table.owner {
		if n == 0 {
			continue
		}
		if id := o.table.members[n-1].ID; kept[id] {
			if _, pinned := in.Pins[s]; !pinned {
				in.Pins[s] = id
				count[id]++
			}
		}
	}
	for id := range kept {
		if count[id] > 0 {
			in.Members = append(in.Members, planner.Member{ID: id, Capacity: count[id]})
		}
	}
	return in, kept, next
}

// newest returns the version that came last: that whose first member came after
// those of all others. Empty if there is one only.
func (o *office) newest() string {
	first := make(map[string]adapters.Rev)
	for _, a := range o.members {
		if f, there := first[a.Release]; !there || a.life < f {
			first[a.Release] = a.life
		}
	}
	if len(first) < 2 {
		return ""
	}
	newest := ""
	for v, f := range first {
		if f >= first[newest] {
			newest = v
		}
	}
	return newest
}

// diff returns the way from the table to plan.
func (o *office) diff(plan *planner.Plan, kept map[string]bool) *diff {
	d := &diff{}
	numbers := make(map[string]int)
	free := []int{}
	owning := make([]bool, len(o.table.members))
	has := make(map[string]bool, len(plan.Members))
	for _, m := range plan.Members {
		has[m.ID] = m.Has > 0
	}
	var left, vanished, came, drained, changed []string
	for n, e := range o.table.members {
		_, there := o.members[e.ID]
		owning[n] = has[e.ID]
		switch {
		case e.ID == "" || !there && e.gone && !owning[n] && !kept[e.ID]:
			free = append(free, n)
			continue
		case !there && !e.gone:
			d.gone = append(d.gone, n)
			if e.draining {
				left = append(left, e.ID)
			} else {
				vanished = append(vanished, e.ID)
			}
		}
		numbers[e.ID] = n
	}
	ids := make([]string, 0, len(o.members))
	for id := range o.members {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	next := len(o.table.members)
	for _, id := range ids {
		a := o.members[id]
		n, known := numbers[id]
		switch {
		case known:
			e := o.table.members[n]
			life, told := o.lives[id]
			if !e.gone && e.Address == a.Address && e.draining == a.Draining && (life == a.life || !told) {
				continue
			}
			switch {
			case e.gone:
				came = append(came, id)
			case a.Draining && !e.draining:
				drained = append(drained, id)
			default:
				changed = append(changed, id)
			}
		case len(free) > 0:
			n, free = free[0], free[1:]
			came = append(came, id)
		case next < maxMembers:
			n = next
			next++
			came = append(came, id)
		default:
			continue // no number for it; the planner's limit is lower anyway
		}
		numbers[id] = n
		d.names = append(d.names, naming{number: n, draining: a.Draining, Owner: Owner{id, a.Address}})
	}
	reasons := make(map[planner.Reason]bool)
	for s := range o.table.owner {
		to := planner.Nobody
		if id := plan.Table.OwnerOf(s); id != "" {
			to = numbers[id]
		}
		if int(o.table.owner[s]) != to+1 {
			d.moves = append(d.moves, move{s, to})
		}
	}
	for _, m := range plan.Moves {
		reasons[m.Why] = true
	}
	parts := []string{names("join", came), names("leave", left), names("vanish", vanished), names("drain", drained), names("change", changed)}
	for why, text := range map[planner.Reason]string{planner.Pin: "pins", planner.Hot: "load"} {
		if reasons[why] {
			parts = append(parts, text)
		}
	}
	slices.Sort(parts)
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	if d.cause = strings.Join(parts, "; "); d.cause == "" {
		d.cause = "balance"
	}
	return d
}

// write makes d the next epoch.
func (o *office) write(ctx context.Context, d *diff, plan *planner.Plan) error {
	k := o.l.g.keys
	began := time.Now()
	table, err := o.table.apply(d, o.table.epoch+1)
	if err != nil {
		return err
	}
	h := &head{shards: o.l.g.shards, epoch: table.epoch, base: o.base, baseEpoch: o.baseAt}
	bytes := d.marshal()
	rebase := len(bytes) > maxLast || o.growth+len(bytes) > maxGrowth || table.epoch-o.baseAt >= maxDiffs
	if rebase {
		h.base, h.baseEpoch = fmt.Sprintf("%d-%d", table.epoch, o.slot.Token()), table.epoch
		if err := o.writeBase(ctx, h.base, table); err != nil {
			return err
		}
	}
	tx := adapters.Tx{If: []adapters.Cond{adapters.Unchanged(k.head(), o.head)}}
	if len(bytes) <= maxLast {
		h.last = d
	}
	tx.Then = append(tx.Then, adapters.PutKeep(k.head(), h.marshal()))
	if h.last != nil && !rebase {
		tx.If = append(tx.If, adapters.Absent(k.diff(table.epoch)))
		tx.Then = append(tx.Then, adapters.Put(k.diff(table.epoch), bytes))
	}
	res, err := o.slot.Commit(ctx, tx)
	if err != nil {
		return err
	}
	o.table, o.head, o.base, o.baseAt = table, res.Rev, h.base, h.baseEpoch
	o.growth += len(bytes)
	for _, m := range plan.Moves {
		if m.Why == planner.Balance {
			o.moved++
		}
	}
	o.l.g.s.Logger().Info("new shard plan", "group", o.l.g.name, "epoch", table.epoch, "cause", d.cause,
		"moves", len(d.moves), "minimum", plan.Minimum, "deferred", plan.Deferred, "unowned", len(plan.Unowned))
	o.l.g.s.ReportPlan(session.ShardPlan{
		At: time.Now(), Group: o.l.g.name, Planner: o.l.id, Epoch: table.epoch, Cause: d.cause, Members: len(o.members),
		Moves: len(plan.Moves), Minimum: plan.Minimum, Deferred: plan.Deferred, Unowned: len(plan.Unowned), Took: time.Since(began),
	})
	if rebase {
		o.growth = 0
		o.tidy(ctx)
	}
	for _, n := range d.gone {
		o.sweep(ctx, table.members[n].ID)
	}
	return nil
}

// writeBase stores table under a name that nobody refers to yet.
func (o *office) writeBase(ctx context.Context, name string, table *Table) error {
	i := 0
	for chunk := range slices.Chunk(table.marshalBase(), maxChunk) {
		key := fmt.Sprintf("%s%s/%d", o.l.g.keys.bases(), name, i)
		_, err := o.slot.Commit(ctx, adapters.Tx{
			If:   []adapters.Cond{adapters.Absent(key)},
			Then: []adapters.Op{adapters.Put(key, chunk)},
		})
		if err != nil {
			return err
		}
		i++
	}
	return nil
}
