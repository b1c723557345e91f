// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

// State is where a session stands. See the package's diagram.
type State uint8

// The states of a session.
const (
	Active   State = iota + 1 // the lease is trusted and renewals are on time
	Jeopardy                  // the lease is trusted, but a renewal is overdue
	Lost                      // not trusted; a new incarnation is being opened
	Closed                    // over for good
)

func (s State) String() string {
	switch s {
	case Active:
		return "active"
	case Jeopardy:
		return "jeopardy"
	case Lost:
		return "lost"
	case Closed:
		return "closed"
	}
	return "unknown"
}

// Policy says what a session does in Jeopardy.
type Policy uint8

const (
	// HoldOn keeps everything until the last moment at which it is safe. It is
	// the default: most troubles of a backend are shorter than a TTL.
	HoldOn Policy = iota
	// LetGo ends everything as soon as a renewal is overdue, at half the TTL.
	// It is for work that would rather stop needlessly than stop in a hurry.
	LetGo
)
