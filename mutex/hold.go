// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package mutex

import (
	"context"

	"github.com/quorate/quorate/internal/line"
)

// Hold is a lock that is held. It may be used and unlocked by any goroutine.
type Hold struct {
	line *line.Line
	slot *line.Slot
}

// Context ends before anybody else can be given the lock. Its cause wraps
// session.ErrLost, session.ErrClosed or ErrReleased.
func (h *Hold) Context() context.Context { return h.slot.Context() }

// Token is the fencing token: larger than that of every earlier holder of this
// name. Send it along with every write, so that the resource can refuse a late
// one of an earlier holder.
func (h *Hold) Token() uint64 { return h.slot.Token() }

// Check returns nil while nobody else can hold the lock. It compares the clock
// at this moment, in less than a microsecond, without a call to the backend.
func (h *Hold) Check() error { return h.line.Errorf("check", h.slot.Check()) }

// Unlock gives the lock back. Call it when the work under the lock has
// returned. It takes no context, because it has to work when that is over.
//
// It returns nil once the lock is free, session.ErrLost if it had been lost
// before, and adapters.ErrUnknown if the backend did not answer at once; the
// release then goes on in the background and needs no help. Calling it again
// returns the same.
func (h *Hold) Unlock() error { return h.line.Errorf("unlock", h.slot.Leave()) }
