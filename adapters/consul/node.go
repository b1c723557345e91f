// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
)

// Rule R4: nobody is given a place while the one before him may still trust his
// lease, also if that lease has ended early.
//
// Consul ends a session before its TTL has run when the session's node leaves
// the catalog: an agent leaves, a server is reaped, a node is deregistered. The
// holder learns of it at his next renewal, if his link works. Whoever comes
// meanwhile finds a free place and no trace of him.
//
// So all leases hang on a catalog node of their own, Options.Node. It belongs to
// no agent, and neither Consul's servers nor its agents remove such a node. That
// leaves the hand of a person. When the node has gone, all leases have ended at
// once, waiters' too, so nobody can be given a place who has not been granted a
// lease on the node's next life; and no lease is granted on that before the
// longest TTL in use has run. Which life of the node is fit for leases, and that
// TTL, stand in a key, the note.

// noteJSON is the value of the note.
type noteJSON struct {
	Version   int    `json:"v"`
	Node      uint64 `json:"node"`   // CreateIndex of the life of the node that has leases
	TTLMillis int64  `json:"ttl_ms"` // the longest TTL ever asked for
}

const noteVersion = 1

// nodeMeta marks the node as ours.
const nodeMeta = "quorate"

// nodeLife is what this process knows of the node.
type nodeLife struct {
	mu      sync.Mutex
	vouched map[string]bool // leases that may be held: granted here, or vouched for when adopted
	created uint64          // the life that had no leases yet
	since   time.Time       // when that was seen first
}

// may says, and with is set, whether a lease may be held.
func (l *nodeLife) may(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.vouched[id]
}

func (l *nodeLife) set(id string, may bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !may {
		delete(l.vouched, id)
		return
	}
	if l.vouched == nil {
		l.vouched = make(map[string]bool)
	}
	l.vouched[id] = true
}

// known returns for how long the life that began at created has been known.
func (l *nodeLife) known(created uint64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.created != created {
		l.created, l.since = created, time.Now()
	}
	return time.Since(l.since)
}

func (s *Store) noteKey() string { return s.opts.Node + "/node" }

// registerNode makes the node if it is not there.
func (s *Store) registerNode(ctx context.Context) error {
	return s.once(ctx, false, func(ctx context.Context, c *api.Client) error {
		_, err := c.Catalog().Register(&api.CatalogRegistration{
			Node: s.opts.Node,
			// Nothing listens there: the node stands for no machine.
			Address:        "127.0.0.1",
			NodeMeta:       map[string]string{nodeMeta: "leases"},
			SkipNodeUpdate: true,
		}, new(api.WriteOptions).WithContext(ctx))
		return err
	})
}

// vouch makes sure that a lease of this TTL, which hangs on the node already,
// may be given out. It is asked after the lease was made: if the node's life is
// the one in the note now, the lease is of that life, or dead.
func (s *Store) vouch(ctx context.Context, ttl time.Duration) error {
	for {
		note, mod, node, err := s.lookAtNode(ctx)
		switch {
		case err != nil:
			return err
		case node.Meta[nodeMeta] == "":
			return fmt.Errorf("%w: Options.Node %q is the name of another node in Consul's catalog", adapters.ErrInvalid, s.opts.Node)
		case mod == 0: // no lease has ever been given out
			note.Node = node.CreateIndex
		case note.Node != node.CreateIndex:
			longest := time.Duration(note.TTLMillis) * time.Millisecond
			if left := longest - s.life.known(node.CreateIndex); left > 0 {
				s.opts.Logger.Warn("consul: the catalog node of all leases was deregistered, no lease is granted until those on it have run out",
					"node", s.opts.Node, "left", left)
				return fmt.Errorf("catalog node %q was deregistered: leases are granted again in %v", s.opts.Node, left.Round(time.Millisecond))
			}
			note.Node = node.CreateIndex
		case note.TTLMillis >= ttl.Milliseconds():
			return nil
		}
		note.TTLMillis = max(note.TTLMillis, ttl.Milliseconds())
		if err := s.writeNote(ctx, note, mod); err != nil && !errors.Is(err, adapters.ErrConflict) {
			return err
		}
	}
}

// lookAtNode returns the note, its Mod or 0, and the node, of one moment.
func (s *Store) lookAtNode(ctx context.Context) (noteJSON, adapters.Rev, *api.Node, error) {
	key := s.noteKey()
	ops := append(readOps(key), &api.TxnOp{Node: &api.NodeTxnOp{Verb: api.NodeGet, Node: api.Node{Node: s.opts.Node}}})
	var results api.TxnResults
	err := s.once(ctx, false, func(ctx context.Context, c *api.Client) error {
		ok, resp, _, err := c.Txn().Txn(ops, consistent(ctx))
		switch {
		case err != nil:
			return err
		case !ok && len(resp.Errors) == 1 && strings.Contains(resp.Errors[0].What, "doesn't exist"):
			return fmt.Errorf("%w: %s", errNoNode, resp.Errors[0].What)
		case !ok:
			return rollback(resp.Errors, nil)
		}
		results = resp.Results
		return nil
	})
	if err != nil {
		return noteJSON{}, 0, nil, err
	}
	note := noteJSON{Version: noteVersion}
	a := readResults(results, []string{key})[0]
	if a.err != nil {
		return note, 0, nil, a.err
	}
	last := results[len(results)-1]
	if last.Node == nil {
		return note, 0, nil, fmt.Errorf("%w: the token lacks the right to read catalog node %q (node %q, policy \"write\")", adapters.ErrDenied, s.opts.Node, s.opts.Node)
	}
	kv, there := a.view.Get(key)
	if there {
		note.Version = 0
		err := json.Unmarshal(kv.Value, &note)
		if err == nil && note.Version < 1 {
			err = fmt.Errorf("version is %d, must be at least 1", note.Version)
		}
		if err != nil {
			return note, 0, nil, fmt.Errorf("%w: key %q cannot be read: %w", adapters.ErrInvalid, key, err)
		}
	}
	return note, kv.Mod, last.Node, nil
}

// writeNote creates the note if mod is 0, and replaces the one of mod otherwise.
func (s *Store) writeNote(ctx context.Context, note noteJSON, mod adapters.Rev) error {
	value, err := json.Marshal(note)
	if err != nil {
		return err
	}
	key := s.noteKey()
	tx := adapters.Tx{If: []adapters.Cond{adapters.Unchanged(key, mod)}, Then: []adapters.Op{adapters.PutKeep(key, value)}}
	if mod == 0 {
		tx = adapters.Tx{If: []adapters.Cond{adapters.Absent(key)}, Then: []adapters.Op{adapters.Put(key, value)}}
	}
	_, err = s.commit(ctx, tx)
	return err
}
