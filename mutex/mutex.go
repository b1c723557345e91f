// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package mutex

import (
	"context"
	"errors"

	"github.com/quorate/quorate/internal/line"
	"github.com/quorate/quorate/session"
)

// ErrLocked is returned by TryLock when somebody else holds the lock.
var ErrLocked = errors.New("locked by somebody else")

// ErrReleased is the cause of a hold's context after Unlock.
var ErrReleased = line.ErrReleased

// Options are the settings of a Mutex. Nil means all defaults.
type Options struct {
	// Verbatim takes the name as a key of the store as it stands, outside the
	// session's prefix, and excludes the users of the backend's own recipes for
	// that key. On etcd it joins the queue of concurrency.Mutex,
	// concurrency.Election, "etcdctl lock" and "etcdctl elect" with the same
	// name; nothing else may be stored below it. On Consul it is the lock key of
	// api.Lock, and of "consul lock" if the name ends in "/.lock"; there is no
	// order among those who wait for that.
	Verbatim bool
}

// Mutex is a lock with a name. It holds no state: it can be copied, shared by
// goroutines and used for any number of holds, which exclude each other.
type Mutex struct{ line *line.Line }

// New returns the lock of that name. Names are arbitrary text up to
// adapters.MaxName bytes; "a" and "a/b" have nothing to do with each other.
func New(s *session.Session, name string, o *Options) (*Mutex, error) {
	l, err := line.New(s, "mutex", name, o != nil && o.Verbatim)
	if err != nil {
		return nil, err
	}
	return &Mutex{l}, nil
}

// Lock waits until the lock is ours and returns the hold. It ends with the
// cause of ctx, or with session.ErrLost when the session is lost while it
// waits; then no key is left in the queue. While the session has no lease, it
// waits for the next. Ctx is for the wait only; the hold outlives it.
func (m *Mutex) Lock(ctx context.Context) (*Hold, error) {
	slot, err := m.line.Join(ctx, "")
	if err != nil {
		return nil, m.line.Errorf("lock", err)
	}
	return &Hold{m.line, slot}, nil
}

// TryLock takes the lock if it is free and returns ErrLocked if it is not. It
// may wait for the backend, but not for a holder.
func (m *Mutex) TryLock(ctx context.Context) (*Hold, error) {
	slot, err := m.line.Try(ctx, "")
	if err == nil && slot == nil {
		err = ErrLocked
	}
	if err != nil {
		return nil, m.line.Errorf("try lock", err)
	}
	return &Hold{m.line, slot}, nil
}

// Do runs f while holding the lock, and unlocks when f has returned. The
// context that f gets ends with ctx, and before anybody else can hold the lock.
//
// When the lock is lost under f, or the session while Do waits, Do takes the
// lock again, once f has returned, and runs f again: f has to bear that. It
// returns what f returns, but for this: if f returns nil after the lock was
// lost, Do returns session.ErrLost, since others may have been at work. Within f, leave the
// unlocking to Do.
func (m *Mutex) Do(ctx context.Context, f func(ctx context.Context, h *Hold) error) error {
	return m.line.Errorf("do", m.line.Run(ctx, "", func(ctx context.Context, slot *line.Slot, _ func()) error {
		return f(ctx, &Hold{m.line, slot})
	}))
}
