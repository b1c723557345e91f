// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"

	"github.com/quorate/quorate/adapters"
)

var (
	// ErrLost means that the session's lease can no longer be trusted, so
	// everything that hung on it is over. It wraps the reason.
	ErrLost = errors.New("session lost")
	// ErrClosed means that the session was closed, or has ended for good
	// because its adopted lease has.
	ErrClosed = errors.New("session closed")
	// ErrStuck means that Close gave up waiting for work that does not return.
	// The work keeps its places until it does.
	ErrStuck = errors.New("work has not returned")
	// ErrGone means that a message's addressee is not there (any more).
	ErrGone = errors.New("no such session")
	// ErrInboxFull means that the addressee has not taken its messages.
	ErrInboxFull = errors.New("inbox is full")
)

// Reasons that ErrLost wraps, beside adapters.ErrLeaseLost.
var (
	errWindow    = errors.New("no renewal was acknowledged in time")
	errKeyGone   = errors.New("the session's key was deleted")
	errKeysGone  = fmt.Errorf("%w: its keys have gone", adapters.ErrLeaseLost)
	errUnhealthy = errors.New("health function failed")
)
