// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"errors"
	"slices"
	"time"

	"github.com/quorate/quorate/adapters"
)

// roomFor returns how many conditions, writes and reads fit one transaction of
// a session, its fence left out.
func roomFor(limits adapters.Limits) int {
	if limits.MaxOps > 0 {
		return limits.MaxOps - 1
	}
	return 127
}

func (l *life) room() int { return roomFor(l.g.s.Store().Limits()) }

// reads reads keys, as many as fit in one transaction each time.
func (l *life) reads(names []string) ([]adapters.KV, error) {
	kvs := make([]adapters.KV, 0, len(names))
	for part := range slices.Chunk(names, l.room()) {
		res, err := l.inc.Commit(l.ctx, adapters.Tx{Reads: part})
		if err != nil {
			return nil, err
		}
		for i, name := range part {
			kv, _ := res.Views[i].Get(name)
			kvs = append(kvs, kv) // Key is empty if it is not there
		}
	}
	return kvs, nil
}

// taking is a claim that can be had: it is written by nobody alive.
type taking struct {
	st   *state
	free adapters.Cond // of the claim
	dead *peer         // whose it was; nil if nobody's, or ours in an earlier life

	alone bool // in a transaction of its own
}

// inspect reads the claims of shards that the plan gives us, and takes those
// that nobody alive has.
//
// A claim names one life of one member. That life is over if the member's key is
// not there, or was created anew; the same transaction that takes the claim
// makes sure of it. So whatever the plan says, no shard has two owners.
func (l *life) inspect(list []*state) {
	names := make([]string, len(list))
	for i, st := range list {
		names[i] = l.g.keys.claim(st.shard)
	}
	kvs, err := l.reads(names)
	if err != nil {
		l.giveUp(list, err)
		return
	}
	claims := make([]claimJSON, len(list))
	owners := make(map[string]*peer)
	for i, kv := range kvs {
		if kv.Key == "" {
			continue
		}
		if claims[i], err = decodeClaim(kv); err != nil {
			l.fail(err)
			return
		}
		if id := claims[i].Member; id != l.id {
			owners[id] = nil
		}
	}
	if err := l.readPeers(owners); err != nil {
		l.giveUp(list, err)
		return
	}
	var takes []taking
	l.mu.Lock()
	for i, st := range list {
		c, kv := claims[i], kvs[i]
		switch {
		case st.mine:
			// It was handed over to us meanwhile.
		case kv.Key == "" && l.table.is(st.shard, l.id):
			takes = append(takes, taking{st, adapters.Absent(names[i]), nil, st.tries > 0})
		case c.Member == l.id && (c.Life == l.created || l.g.opts.plant.heir):
			l.own(st, kv.Mod, c.Epoch)
		case !l.table.is(st.shard, l.id):
			st.doubt = false // it is not ours, and is not to be
		case c.Member == l.id:
			takes = append(takes, taking{st, adapters.Unchanged(kv.Key, kv.Mod), nil, st.tries > 0})
		case l.g.opts.plant.blind:
			takes = append(takes, taking{st, adapters.Unchanged(kv.Key, kv.Mod), nil, false})
		case owners[c.Member].there && owners[c.Member].life == c.Life:
			st.seen, st.known, st.donor, st.tries = max(l.table.epoch, 1), time.Now(), owners[c.Member], 0
		default:
			takes = append(takes, taking{st, adapters.Unchanged(kv.Key, kv.Mod), owners[c.Member], st.tries > 0})
		}
	}
	l.mu.Unlock()
	l.take(takes)
}

// readPeers fills in what is known of the members that it is keyed by.
func (l *life) readPeers(of map[string]*peer) error {
	ids, names := make([]string, 0, len(of)), make([]string, 0, len(of))
	for id := range of {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		names = append(names, l.g.keys.member(id))
	}
	l.mu.Lock()
	seen := l.table.epoch
	l.mu.Unlock()
	kvs, err := l.reads(names)
	if err != nil {
		return err
	}
	for i, id := range ids {
		p := &peer{id: id, there: kvs[i].Key != "", life: kvs[i].Created, mod: kvs[i].Mod, seen: seen, at: time.Now()}
		if p.there {
			m, err := decodeMember(kvs[i])
			if err != nil {
				return err
			}
			p.prepares = m.Prepares
		}
		of[id] = p
	}
	return nil
}

// take writes claims, as many as fit in one transaction each time. A claim that
// somebody else has written spoils the transaction that it is in: those claims are read
// again, and then taken one by one.
func (l *life) take(takes []taking) {
	for len(takes) > 0 {
		tx := adapters.Tx{If: []adapters.Cond{adapters.HeldBy(l.g.keys.member(l.id), l.inc.Lease())}}
		epoch := l.epoch()
		dead := make(map[string]bool)
		n := 0
		for ; n < len(takes); n++ {
			t := takes[n]
			if n > 0 && (len(tx.If)+len(tx.Then)+3 > l.room() || t.alone || takes[n-1].alone) {
				break
			}
			tx.If = append(tx.If, t.free)
			value := encode(claimJSON{recordVersion, l.id, l.created, epoch})
			if t.free.Kind == adapters.CondAbsent {
				tx.Then = append(tx.Then, adapters.Put(t.free.Key, value))
			} else {
				tx.Then = append(tx.Then, adapters.PutKeep(t.free.Key, value))
			}
			if t.dead != nil && !dead[t.dead.id] {
				dead[t.dead.id] = true
				gone := adapters.Absent(l.g.keys.member(t.dead.id))
				if t.dead.there {
					gone = adapters.Unchanged(gone.Key, t.dead.mod) // another life of it
				}
				tx.If = append(tx.If, gone)
			}
		}
		part := takes[:n]
		takes = takes[n:]
		res, err := l.inc.Commit(l.ctx, tx)
		if err != nil {
			list := make([]*state, len(part))
			for i, t := range part {
				list[i] = t.st
			}
			l.giveUp(list, err)
			continue
		}
		l.mu.Lock()
		for _, t := range part {
			if t.dead != nil {
				t.st.from = t.dead.id
			}
			l.own(t.st, res.Rev, epoch)
		}
		l.mu.Unlock()
		l.kick()
	}
}

func (l *life) epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table.epoch
}

// own notes that a shard is ours by a claim that follows the plan of that epoch.
func (l *life) own(st *state, token adapters.Rev, epoch uint64) {
	if now := l.states[st.shard]; now != nil {
		st = now
	}
	if st.mine && st.token >= token {
		return
	}
	if st.held != nil {
		// It was ours before, and somebody else's in between.
		st.held.over(ErrMoved)
		st.held = nil
	}
	if l.states[st.shard] == nil {
		l.states[st.shard] = st // it was called off while the claim was being written
	}
	st.mine, st.token, st.epoch, st.to, st.doubt = true, token, epoch, "", false
	st.seen, st.donor, st.tries, st.retry = 0, nil, 0, time.Time{}
	delete(l.ready, st.shard)
}

// giveUp has shards looked at again after a while, because of err.
func (l *life) giveUp(list []*state, err error) {
	if l.ctx.Err() != nil || l.inc.Check() != nil {
		return
	}
	if final(err) {
		l.fail(err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, st := range list {
		st.seen, st.donor = 0, nil
		st.tries++
		if !errors.Is(err, adapters.ErrConflict) || st.tries > 1 {
			st.retry = time.Now().Add(min(time.Second, 10*time.Millisecond<<min(st.tries, 7)))
		}
	}
}
