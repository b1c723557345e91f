// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/adapters"
)

// send writes the claims of shards whose work has returned over to another member,
// with a note to it: the claim is still ours, and the member is alive, or nothing
// happens. It is one transaction for as many as fit.
func (l *life) send(to peer, list []*state) {
	// Two conditions and a write are not for shards; each shard has one of both.
	for part := range slices.Chunk(list, max(1, (l.room()-3)/2)) {
		note, tokens, tx := l.transfer(to, part)
		key := l.noteKey(to.id)
		tx.If = append(tx.If, adapters.Absent(key))
		tx.Then = append(tx.Then, adapters.Put(key, encode(note)))
		_, err := l.inc.Commit(l.ctx, tx)
		switch {
		case err == nil:
			l.mu.Lock()
			for i, st := range part {
				if st.token == tokens[i] { // else it has come back already
					st.drop(fmt.Errorf("%w: it is %s's now", ErrMoved, to.id))
				}
			}
			l.mu.Unlock()
		case errors.Is(err, adapters.ErrConflict):
			l.review(to.id, part)
			return // the rest is tried in another pass
		default:
			if final(err) {
				l.fail(err)
			} else if l.ctx.Err() == nil && l.inc.Check() == nil {
				_ = sleep(l.ctx, 50*time.Millisecond)
			}
			return
		}
	}
}

// transfer returns a transaction that writes claims over, the note that goes with
// it, and the tokens that it ends.
func (l *life) transfer(to peer, list []*state) (note noteJSON, tokens []adapters.Rev, tx adapters.Tx) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tx.If = []adapters.Cond{adapters.Unchanged(l.g.keys.member(to.id), to.mod)}
	note = noteJSON{Version: recordVersion, Kind: noteYours, From: l.id, Life: to.life, Epoch: l.table.epoch}
	value := encode(claimJSON{recordVersion, to.id, to.life, l.table.epoch})
	for _, st := range list {
		key := l.g.keys.claim(st.shard)
		tokens = append(tokens, st.token)
		tx.If = append(tx.If, adapters.Unchanged(key, st.token))
		tx.Then = append(tx.Then, adapters.PutKeep(key, value))
		note.Shards = append(note.Shards, st.shard)
		if st.held != nil {
			note.Stopped = max(note.Stopped, st.held.stopped.Load())
		}
	}
	return note, tokens, tx
}

// review finds out why shards could not be handed over.
func (l *life) review(to string, list []*state) {
	names := make([]string, len(list))
	for i, st := range list {
		names[i] = l.g.keys.claim(st.shard)
	}
	kvs, err := l.reads(names)
	if err != nil {
		return
	}
	l.mu.Lock()
	for i, st := range list {
		c, err := decodeClaim(kvs[i])
		switch {
		case err == nil && c.Member == l.id && c.Life == l.created:
			l.own(st, kvs[i].Mod, c.Epoch)
		case st.token < kvs[i].Mod || kvs[i].Key == "":
			l.g.s.Logger().Warn("claim was taken away", "group", l.g.name, "shard", st.shard, "member", c.Member)
			st.drop(fmt.Errorf("%w: its claim was taken away", ErrMoved))
		}
	}
	delete(l.peers, to)
	l.mu.Unlock()
}

// readPeer reads a member that shards are to be handed over to.
func (l *life) readPeer(id string) {
	of := map[string]*peer{id: nil}
	err := l.readPeers(of)
	if err != nil {
		if final(err) {
			l.fail(err)
		} else if l.ctx.Err() == nil && l.inc.Check() == nil {
			_ = sleep(l.ctx, 50*time.Millisecond)
		}
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.peers[id] = of[id]
}

// noteKey returns a key in a member's inbox that is used once.
func (l *life) noteKey(to string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes++
	return fmt.Sprintf("%s%d-%d", l.g.keys.inbox(to), l.created, l.notes)
}
