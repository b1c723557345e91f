// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package election

import (
	"context"

	"github.com/quorate/quorate/internal/line"
)

// Term is a time of leading. It may be used by any goroutine.
type Term struct {
	line     *line.Line
	slot     *line.Slot
	stepDown func() // set if Lead gives the place back
}

// Context ends before anybody else can lead. Its cause wraps session.ErrLost,
// session.ErrClosed or ErrResigned. Within Lead, use the context given to the
// function, which also ends with that of Lead.
func (t *Term) Context() context.Context { return t.slot.Context() }

// Token is the fencing token: larger than that of every earlier term of this
// name. Send it along with every write, so that the resource can refuse a late
// one of an earlier leader.
func (t *Term) Token() uint64 { return t.slot.Token() }

// Check returns nil while nobody else can lead. It compares the clock at this
// moment, in less than a microsecond, without a call to the backend.
func (t *Term) Check() error { return t.line.Errorf("check", t.slot.Check()) }

// Proclaim replaces the value that observers see, if we still lead.
func (t *Term) Proclaim(ctx context.Context, value string) error {
	return t.line.Errorf("proclaim", t.slot.Update(ctx, value))
}

// Resign ends the term. In a term of Campaign it gives the place up at once:
// call it when the work of the leader has returned. In a term of Lead it ends
// the function's context; the place is given up when the function has
// returned, and Lead then campaigns again, behind those who wait.
//
// It takes no context, because it has to work when that is over. It returns
// nil once the place is free, session.ErrLost if it had been lost before, and
// adapters.ErrUnknown if the backend did not answer at once; the release then
// goes on in the background. Calling it again returns the same.
func (t *Term) Resign() error {
	if t.stepDown != nil {
		t.stepDown()
		return nil
	}
	return t.line.Errorf("resign", t.slot.Leave())
}
