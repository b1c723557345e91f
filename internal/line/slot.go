// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/session"
)

// ErrReleased is the cause of a slot's context after it was given back.
var ErrReleased = errors.New("released")

// A Slot is one contender's place in a line. Join returns it as the owner.
type Slot struct {
	line    *Line
	inc     *session.Incarnation
	work    *session.Work
	key     string
	created adapters.Rev // 0 while it is not known to exist
	owns    bool
	free    func() // lets the next one of this session try the lock key; nil in a queue

	ctx    context.Context
	cancel context.CancelCauseFunc

	mu sync.Mutex // one change of the slot at a time

	leave sync.Once
	left  error
}

// Context ends when the place is lost, when the session closes or when the
// place is given back, with the reason as its cause.
func (s *Slot) Context() context.Context { return s.ctx }

// Token is the fencing token of the place.
func (s *Slot) Token() uint64 { return Token(s.created) }

// Session returns the id of the incarnation that the slot hangs on.
func (s *Slot) Session() string { return s.inc.ID() }

// Check returns nil while nobody else can own the line. It is right at once
// after a pause of the process.
func (s *Slot) Check() error {
	if err := s.inc.Check(); err != nil {
		return err
	}
	if err := s.ctx.Err(); err != nil && errors.Is(context.Cause(s.ctx), ErrReleased) {
		return ErrReleased
	}
	return nil
}

// Commit applies tx if the slot still owns the line, as [session.Incarnation.Commit]
// does. It may be used by the owner only: who is first stays so while his slot is there.
func (s *Slot) Commit(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	tx.If = append(tx.If[:len(tx.If):len(tx.If)], adapters.HeldBy(s.key, s.inc.Lease()))
	return s.inc.Commit(ctx, tx)
}

// enter creates the slot and returns the slots ahead of it, oldest first.
func (s *Slot) enter(ctx context.Context, value string) ([]adapters.KV, error) {
	for {
		key := s.inc.NewKey(s.line.dir)
		s.key = key
		res, err := s.inc.Commit(ctx, adapters.Tx{
			If:    []adapters.Cond{adapters.Absent(key)},
			Then:  []adapters.Op{adapters.PutLeased(key, s.line.encode(s.inc.ID(), value), s.inc.Lease())},
			Reads: []string{s.line.dir},
		})
		if errors.Is(err, adapters.ErrConflict) {
			// The key is new, so the session key must have been changed.
			if err := s.inc.Verify(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			if !errors.Is(err, adapters.ErrUnknown) {
				s.key = "" // not written, and never will be
			}
			return nil, err
		}
		return s.ahead(res.Views[0])
	}
}

// ahead returns the contenders that are older than the slot. It fails if the
// slot itself is not there.
func (s *Slot) ahead(view adapters.View) ([]adapters.KV, error) {
	all := s.line.Contenders(view)
	i := slices.IndexFunc(all, func(kv adapters.KV) bool { return kv.Key == s.key && kv.Lease == s.inc.Lease() })
	if i < 0 {
		return nil, errQueueAgain
	}
	if s.created != 0 && all[i].Created != s.created {
		return nil, errQueueAgain
	}
	s.created = all[i].Created
	return all[:i], nil
}

// await waits until no older slot is left and the own one is there.
func (s *Slot) await(ctx context.Context, ahead []adapters.KV) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A waiter whose session ends has nothing to wait for.
	stop := context.AfterFunc(s.inc.Context(), func() { cancel(context.Cause(s.inc.Context())) })
	defer stop()
	for len(ahead) > 0 {
		last := len(ahead) - 1
		if err := s.gone(ctx, ahead[last]); err != nil {
			return err
		}
		if first, err := s.first(ctx, ahead[:last]); first || err != nil {
			return err
		}
		view, err := s.inc.Read(ctx, s.line.dir)
		if err != nil {
			return err
		}
		if ahead, err = s.ahead(view); err != nil {
			// Gone alone, or with the session? The session may not know yet.
			if lost := s.inc.Verify(ctx); lost != nil {
				return lost
			}
			return err
		}
	}
	return nil
}

// first reports whether the slot is there and none of those that were ahead of
// it is. It asks for exactly these keys: an etcd that has not been compacted
// walks over every slot that ever was to read the directory.
func (s *Slot) first(ctx context.Context, ahead []adapters.KV) (bool, error) {
	conds := make([]adapters.Cond, 0, len(ahead)+1)
	conds = append(conds, adapters.HeldBy(s.key, s.inc.Lease()))
	for _, kv := range ahead {
		conds = append(conds, adapters.Absent(kv.Key))
	}
	if most := s.line.s.Store().Limits().MaxOps; most > 0 && len(conds) >= most { // one more for the fence
		return false, nil
	}
	_, err := s.inc.Commit(ctx, adapters.Tx{If: conds})
	if errors.Is(err, adapters.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// gone waits until that life of the key is over.
func (s *Slot) gone(ctx context.Context, kv adapters.KV) error {
	for view, err := range s.line.s.Store().Watch(ctx, kv.Key) {
		if err != nil {
			return fmt.Errorf("watching the queue: %w", err)
		}
		if now, there := view.Get(kv.Key); !there || now.Created != kv.Created {
			return nil
		}
	}
	return context.Cause(ctx)
}

// own makes the slot the owner's.
func (s *Slot) own() {
	s.owns = true
	s.ctx, s.cancel = context.WithCancelCause(s.inc.Context())
	s.work.Acquired(s.Token())
}

// Update replaces the value in the slot, if it still owns the line.
func (s *Slot) Update(ctx context.Context, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.Check(); err != nil {
		return err
	}
	put := adapters.PutKeep(s.key, s.line.encode(s.inc.ID(), value))
	put.Tag = s.line.tag
	_, err := s.inc.Commit(ctx, adapters.Tx{
		If:   []adapters.Cond{adapters.HeldBy(s.key, s.inc.Lease())},
		Then: []adapters.Op{put},
	})
	if errors.Is(err, adapters.ErrConflict) {
		return fmt.Errorf("slot was deleted by somebody else: %w", err)
	}
	return err
}

// Leave gives the place back: it ends the slot's context and deletes the slot.
// Whoever holds the place calls it after its work has returned. It returns nil
// once the slot is gone, session.ErrLost if it was lost before, and
// adapters.ErrUnknown if the store does not answer; the deletion then goes on
// in the background. Calling it again returns what the first call returned.
func (s *Slot) Leave() error {
	s.leave.Do(func() {
		lost := s.inc.Check()
		s.cancel(ErrReleased)
		s.left = s.inc.Remove(s.key, false, s.free)
		if errors.Is(s.left, adapters.ErrConflict) {
			s.left = fmt.Errorf("%w: the slot was gone already", session.ErrLost)
		}
		if lost != nil {
			s.left = lost
		}
		s.work.Done()
	})
	return s.left
}
