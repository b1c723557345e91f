// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/session"
)

// readNotes acts on the notes in our inbox and deletes them.
func (l *life) readNotes() {
	seen := make(map[string]bool)
	dir := l.g.keys.inbox(l.id)
	for view, err := range l.g.s.Store().Watch(l.ctx, dir) {
		if err != nil {
			l.fail(err)
			return
		}
		var fresh []string
		for _, kv := range view.KVs {
			if !seen[kv.Key] {
				seen[kv.Key] = true
				fresh = append(fresh, kv.Key)
				l.read(kv)
			}
		}
		if len(fresh) > 0 {
			l.kick()
			l.spawn(func() { l.discard(fresh) })
		}
		if len(seen) > 1024 {
			// Keys are used once, so those that are not there will not come back.
			now := make(map[string]bool, len(view.KVs))
			for _, kv := range view.KVs {
				now[kv.Key] = true
			}
			seen = now
		}
	}
}

// read acts on one note. A late or repeated one does no harm: it names the life
// that it is for, and the revision of the claims that came with it.
func (l *life) read(kv adapters.KV) {
	note, err := decodeNote(kv)
	if err != nil {
		l.g.s.Logger().Warn("note cannot be read", "group", l.g.name, "cause", err)
		return
	}
	if note.Life != l.created {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.peers[note.From]; p != nil && note.Kind == noteReady && p.life != note.Ready {
		delete(l.peers, note.From) // it is another life of that member
	}
	for _, s := range note.Shards {
		if s < 0 || s >= l.g.shards {
			continue
		}
		st := l.states[s]
		switch note.Kind {
		case noteYours:
			if st == nil {
				st = &state{shard: s}
				l.states[s] = st
			}
			if !st.mine || st.token < kv.Created {
				st.from, st.stopped = note.From, note.Stopped
			}
			l.own(st, kv.Created, note.Epoch)
		case noteReady:
			switch {
			case st != nil && st.mine:
				l.ready[s] = note.Ready
			case st == nil:
				l.states[s] = &state{shard: s, doubt: true}
			default:
				st.doubt = true
			}
		case noteTaken:
			if st != nil && st.mine && st.token < kv.Created {
				st.drop(ErrMoved)
			}
		}
	}
}

// discard deletes notes that have been read.
func (l *life) discard(names []string) {
	for part := range slices.Chunk(names, l.room()) {
		ops := make([]adapters.Op, len(part))
		for i, key := range part {
			ops[i] = adapters.Delete(key)
		}
		for {
			_, err := l.inc.Commit(l.ctx, adapters.Tx{Then: ops})
			if err == nil || l.ctx.Err() != nil || errors.Is(err, session.ErrLost) || errors.Is(err, session.ErrClosed) {
				break
			}
			if final(err) {
				l.fail(err)
				return
			}
			if sleep(l.ctx, 50*time.Millisecond) != nil {
				return
			}
		}
	}
}

// preparation is the warming up for a shard.
type preparation struct {
	cancel context.CancelFunc
	ended  bool         // Prepare has returned, and will not be called again
	told   adapters.Rev // which life of a donor was told so; 0 for none
}

// prepare warms up for a shard that its owner is going to hand over.
func (p *pass) prepare(st *state) {
	l := p.life
	switch {
	case l.hand.Prepare == nil && !st.again:
	case l.hand.Prepare == nil:
		p.tells[st.donor.id] = append(p.tells[st.donor.id], st)
	case st.prep == nil:
		ctx, cancel := context.WithCancel(l.inc.Context())
		prep := &preparation{cancel: cancel}
		st.prep = prep
		l.spawn(func() {
			defer cancel()
			pause := 50 * time.Millisecond
			for ctx.Err() == nil {
				err := l.hand.Prepare(ctx, Shard{Number: st.shard})
				if err == nil {
					break
				}
				if ctx.Err() == nil {
					l.g.s.Logger().Warn("cannot prepare for a shard, trying again", "group", l.g.name, "shard", st.shard, "cause", err)
				}
				_ = sleep(ctx, pause)
				pause = min(2*pause, 5*time.Second)
			}
			l.mu.Lock()
			prep.ended = true
			l.mu.Unlock()
			l.kick()
		})
	case st.prep.ended && (st.again || st.prep.told != st.donor.life):
		p.tells[st.donor.id] = append(p.tells[st.donor.id], st)
	}
}

// tellReady tells a donor that it can hand shards over.
func (l *life) tellReady(list []*state) {
	for part := range slices.Chunk(list, 1024) {
		l.mu.Lock()
		donor := part[0].donor
		note := noteJSON{Version: recordVersion, Kind: noteReady, From: l.id, Ready: l.created}
		preps := make([]*preparation, 0, len(part))
		for _, st := range part {
			if st.donor != donor {
				continue
			}
			note.Shards = append(note.Shards, st.shard)
			st.again = false
			if st.prep != nil {
				preps = append(preps, st.prep)
			}
		}
		l.mu.Unlock()
		if donor == nil || len(note.Shards) == 0 {
			return
		}
		note.Life = donor.life
		key := l.noteKey(donor.id)
		_, err := l.inc.Commit(l.ctx, adapters.Tx{
			If:   []adapters.Cond{adapters.Unchanged(l.g.keys.member(donor.id), donor.mod), adapters.Absent(key)},
			Then: []adapters.Op{adapters.Put(key, encode(note))},
		})
		if err == nil {
			l.mu.Lock()
			for _, prep := range preps {
				prep.told = donor.life
			}
			l.mu.Unlock()
			continue
		}
		l.giveUp(part, err)
	}
}
