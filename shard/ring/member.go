// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"fmt"
	"math/bits"
)

// Limits and defaults of New.
const (
	MaxMembers = 1 << 16
	MaxWeight  = 1 << 20
	MinSlots   = 1 << 4
	MaxSlots   = 1 << 24

	// DefaultWeight is that of a member that states none.
	DefaultWeight = 100
	// DefaultSlots does not depend on the number of members; see the package
	// comment for what that number is good for.
	DefaultSlots = 1 << 18
)

// ErrInvalid means that an argument breaks a rule. The error names the field.
var ErrInvalid = errors.New("invalid argument")

// Member is somebody to whom keys are routed.
type Member struct {
	ID string // unique, not empty; what Get returns

	// Weight is the member's part of the keys, relative to others. 0 is
	// DefaultWeight. Who shall get nothing is left out.
	Weight int

	// Zone is where it runs; see GetApart. It has no part in who owns a key.
	Zone string
}

func (m Member) weight() uint64 {
	if m.Weight == 0 {
		return DefaultWeight
	}
	return uint64(m.Weight)
}

// Options of a Ring. All who route the same keys need the same.
type Options struct {
	// Slots is into how many parts the keys are divided, a power of two. 0 is
	// DefaultSlots. With another number nearly every key has another owner.
	Slots int

	// Seed places the members differently: rings with different seeds agree
	// on no more keys than chance has it.
	Seed uint64
}

func invalid(op, format string, args ...any) error {
	return fmt.Errorf("ring: %s: %w: %s", op, ErrInvalid, fmt.Sprintf(format, args...))
}

func checkOptions(o Options) error {
	if o.Slots < MinSlots || o.Slots > MaxSlots || bits.OnesCount(uint(o.Slots)) != 1 {
		return invalid("new", "Slots is %d, must be a power of two from %d to %d", o.Slots, MinSlots, MaxSlots)
	}
	return nil
}

// checkMembers expects members in order of their IDs.
func checkMembers(op string, members []Member) error {
	if len(members) > MaxMembers {
		return invalid(op, "members are %d, limit %d", len(members), MaxMembers)
	}
	for i, m := range members {
		switch {
		case m.ID == "":
			return invalid(op, "members: an ID is empty")
		case i > 0 && members[i-1].ID == m.ID:
			return invalid(op, "members: ID %q is there twice", m.ID)
		case m.Weight < 0 || m.Weight > MaxWeight:
			return invalid(op, "members: %q: Weight is %d, must be from 0 to %d", m.ID, m.Weight, MaxWeight)
		}
	}
	return nil
}
