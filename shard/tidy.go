// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/quorate/quorate/adapters"
)

// seed makes ties between members fall differently in each group.
func seed(group string) uint64 { return xxhash.Sum64String(group) }

// tidy deletes bases and diffs that the head does not refer to any more. What it
// does not get to, the next one does.
func (o *office) tidy(ctx context.Context) {
	k := o.l.g.keys
	var dead []string
	for _, dir := range []string{k.bases(), k.diffs()} {
		view, err := o.l.inc.Read(ctx, dir)
		if err != nil {
			return
		}
		for _, kv := range view.KVs {
			if o.dead(kv.Key) {
				dead = append(dead, kv.Key)
			}
		}
	}
	o.discard(ctx, dead)
}

// dead says whether the head refers to a base or diff no more.
func (o *office) dead(key string) bool {
	k := o.l.g.keys
	if rest, ok := strings.CutPrefix(key, k.bases()); ok {
		return !strings.HasPrefix(rest, o.base+"/")
	}
	rest, _ := strings.CutPrefix(key, k.diffs())
	epoch, err := strconv.ParseUint(rest, 10, 64)
	return err == nil && epoch <= o.baseAt
}

// sweepAll deletes the notes to members that are not there.
func (o *office) sweepAll(ctx context.Context) {
	view, err := o.l.inc.Read(ctx, o.l.g.keys.inboxes())
	if err != nil {
		return
	}
	last := ""
	for _, kv := range view.KVs {
		seg, _, _ := strings.Cut(strings.TrimPrefix(kv.Key, o.l.g.keys.inboxes()), "/")
		if id, err := adapters.Unescape(seg); err == nil && id != last {
			last = id
			o.sweep(ctx, id)
		}
	}
}

// sweep deletes the notes to a member if it is not there: nobody writes to it then,
// and it will not read what was written to an earlier life.
func (o *office) sweep(ctx context.Context, id string) {
	view, err := o.l.inc.Read(ctx, o.l.g.keys.inbox(id))
	if err != nil {
		return
	}
	names := make([]string, len(view.KVs))
	for i, kv := range view.KVs {
		names[i] = kv.Key
	}
	o.discard(ctx, names, adapters.Absent(o.l.g.keys.member(id)))
}

// discard deletes keys on conditions. It gives up at the first error.
func (o *office) discard(ctx context.Context, names []string, conds ...adapters.Cond) {
	for part := range slices.Chunk(names, o.l.room()-1-len(conds)) {
		ops := make([]adapters.Op, len(part))
		for i, key := range part {
			ops[i] = adapters.Delete(key)
		}
		if _, err := o.slot.Commit(ctx, adapters.Tx{If: conds, Then: ops}); err != nil {
			return
		}
	}
}

// Destroy deletes all that the group has stored. It refuses while there are
// members. Tokens go on growing afterwards, as the store's revisions do.
func (g *Group) Destroy(ctx context.Context) error { return g.errorf("destroy", g.destroy(ctx)) }

// ErrMembers means that a group cannot be destroyed because it has members.
var ErrMembers = errors.New("group has members")

func (g *Group) destroy(ctx context.Context) error {
	inc, err := g.s.Current(ctx)
	if err != nil {
		return err
	}
	// The members first, then the head and what it refers to: without members
	// nobody writes, and who joins meanwhile begins anew when the head is gone.
	for _, dir := range []string{g.keys.members(), g.keys.head(), g.keys.dir} {
		view, err := inc.Read(ctx, dir)
		if err != nil {
			return err
		}
		if dir == g.keys.members() {
			if n := len(view.KVs); n > 0 {
				return fmt.Errorf("%w: %d of them", ErrMembers, n)
			}
			continue
		}
		for part := range slices.Chunk(view.KVs, roomFor(g.s.Store().Limits())/2) {
			var tx adapters.Tx
			for _, kv := range part {
				if strings.HasPrefix(kv.Key, g.keys.members()) {
					return fmt.Errorf("%w: somebody has just joined", ErrMembers)
				}
				tx.If = append(tx.If, adapters.Unchanged(kv.Key, kv.Mod))
				tx.Then = append(tx.Then, adapters.Delete(kv.Key))
			}
			if _, err := inc.Commit(ctx, tx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Pin ties a shard to a member until Unpin, whether it is there or not: while it is,
// and has the capacity, the shard is its own.
func (g *Group) Pin(ctx context.Context, shard int, member string) error {
	if _, err := adapters.Escape(member); err != nil {
		return g.errorf("pin", err)
	}
	return g.errorf("pin", g.setPin(ctx, shard, member))
}

// Unpin undoes Pin. A shard that is not pinned is no error.
func (g *Group) Unpin(ctx context.Context, shard int) error {
	return g.errorf("unpin", g.setPin(ctx, shard, ""))
}

func (g *Group) setPin(ctx context.Context, shard int, member string) error {
	if shard < 0 || shard >= g.shards {
		return fmt.Errorf("shard is %d, must be from 0 to %d", shard, g.shards-1)
	}
	inc, err := g.s.Current(ctx)
	if err != nil {
		return err
	}
	key := g.keys.pins()
	for {
		view, err := inc.Read(ctx, key)
		if err != nil {
			return err
		}
		kv, there := view.Get(key)
		pins := map[int]string{}
		if there {
			if pins, err = parsePins(kv); err != nil {
				return err
			}
		}
		if pins[shard] == member {
			return nil
		}
		pins[shard] = member
		if member == "" {
			delete(pins, shard)
		}
		value := encode(pinsJSON{recordVersion, pins})
		tx := adapters.Tx{If: []adapters.Cond{adapters.Unchanged(key, kv.Mod)}, Then: []adapters.Op{adapters.PutKeep(key, value)}}
		if !there {
			tx = adapters.Tx{If: []adapters.Cond{adapters.Absent(key)}, Then: []adapters.Op{adapters.Put(key, value)}}
		}
		if _, err = inc.Commit(ctx, tx); !errors.Is(err, adapters.ErrConflict) {
			return err
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}
