// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/session"
)

// A Line is the queue for one name. It has no state of its own.
type Line struct {
	s          *session.Session
	kind, name string // for people
	dir        string // ends in a slash, or is the lock key
	verbatim   bool
	tag        uint64 // of the lock key; 0 if the line is a queue
}

// New returns the line for name among those of its kind. If verbatim, name is
// a key as it stands, and the line is what the backend's own recipes make of
// that key: a queue beneath it on etcd, a lock key on Consul (see lockkey.go).
// Otherwise its keys are below the session's prefix and escaped.
func New(s *session.Session, kind, name string, verbatim bool) (*Line, error) {
	if s == nil {
		return nil, fmt.Errorf("%s %q: session is nil", kind, name)
	}
	l := &Line{s: s, kind: kind, name: name, verbatim: verbatim}
	if verbatim {
		// A slash at the end would make it the queue of another key.
		if strings.HasSuffix(name, "/") {
			return nil, fmt.Errorf("%s %q: %w: a verbatim name must not end in a slash", kind, name, adapters.ErrInvalid)
		}
		if err := adapters.CheckName(name, s.Store().Limits()); err != nil {
			return nil, fmt.Errorf("%s %q: %w", kind, name, err)
		}
		l.dir = name + "/"
		if l.tag = s.Store().Limits().LockTag; l.tag != 0 {
			l.dir = name
		}
		return l, nil
	}
	seg, err := adapters.Escape(name)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", kind, name, err)
	}
	l.dir = s.Prefix() + "/" + kind + "/" + seg + "/"
	return l, nil
}

// Errorf wraps err with the line's kind and name and the operation.
func (l *Line) Errorf(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %s: %w", l.kind, l.name, op, err)
}

// Session returns the session that contenders of this line hang on.
func (l *Line) Session() *session.Session { return l.s }

// Dir returns the name that shows all slots, mostly a subtree.
func (l *Line) Dir() string { return l.dir }

// Contenders returns the slots in view, the owner first. Deeper keys, such as
// those of another line whose verbatim name begins with this one's, are none.
func (l *Line) Contenders(view adapters.View) []adapters.KV {
	kvs := make([]adapters.KV, 0, len(view.KVs))
	for _, kv := range view.KVs {
		if l.tag != 0 {
			if kv.Key == l.dir && kv.Lease != "" {
				kvs = append(kvs, kv)
			}
			continue
		}
		if rest, ok := strings.CutPrefix(kv.Key, l.dir); ok && !strings.Contains(rest, "/") {
			kvs = append(kvs, kv)
		}
	}
	slices.SortFunc(kvs, func(a, b adapters.KV) int { return cmp.Compare(a.Created, b.Created) })
	return kvs
}

// Token is the fencing token of a place: the revision in which its slot was
// created, with room for hand-overs that keep the slot.
func Token(created adapters.Rev) uint64 { return uint64(created) << 16 }

var errQueueAgain = errors.New("slot was deleted by somebody else")

// Join queues with value in the slot and returns once the slot owns the line.
// Its error is the cause of ctx, session.ErrLost, or what the store refused.
// After an error no slot is left, or it is on its way out.
func (l *Line) Join(ctx context.Context, value string) (*Slot, error) {
	for {
		slot, err := l.join(ctx, value, true)
		if !errors.Is(err, errQueueAgain) {
			return slot, err
		}
		l.s.Logger().Warn("slot was deleted by somebody else, queueing again", "kind", l.kind, "name", l.name)
	}
}

// Try takes the place if it is free, and returns nil otherwise. If it is not,
// nothing is written, but for a race of two that both find it free.
func (l *Line) Try(ctx context.Context, value string) (*Slot, error) {
	inc, err := l.s.Current(ctx)
	if err != nil {
		return nil, err
	}
	view, err := inc.Read(ctx, l.dir)
	if err != nil || len(l.Contenders(view)) > 0 {
		return nil, err
	}
	slot, err := l.join(ctx, value, false)
	if errors.Is(err, errQueueAgain) || errors.Is(err, errTaken) {
		return nil, nil
	}
	return slot, err
}

func (l *Line) join(ctx context.Context, value string, wait bool) (slot *Slot, err error) {
	inc, err := l.s.Current(ctx)
	if err != nil {
		return nil, err
	}
	work, err := inc.Begin(l.kind, l.name)
	if err != nil {
		return nil, err
	}
	slot = &Slot{line: l, inc: inc, work: work}
	defer func() {
		if err != nil || !slot.owns {
			if slot.key != "" {
				// Nobody can be told: it goes on in the background.
				_ = inc.Remove(slot.key, slot.created == 0, slot.free)
			} else if slot.free != nil {
				slot.free()
			}
			slot = nil
			work.Done()
		}
	}()
	if l.tag != 0 {
		if err := slot.take(ctx, value, wait); err != nil {
			return slot, err
		}
		slot.own()
		return slot, nil
	}
	ahead, err := slot.enter(ctx, value)
	if err != nil {
		return slot, err
	}
	if len(ahead) > 0 {
		if !wait {
			return slot, nil
		}
		work.Waiting()
		if err := slot.await(ctx, ahead); err != nil {
			return slot, err
		}
	}
	if err := inc.Check(); err != nil {
		return slot, err
	}
	slot.own()
	return slot, nil
}
