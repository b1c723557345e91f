// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Limits of an Input. They keep all arithmetic within 64 bits.
const (
	MaxShards  = 1 << 20
	MaxMembers = 1 << 16
	MaxWeight  = 1 << 20

	// DefaultWeight is that of a member that states none.
	DefaultWeight = 100
)

// ErrInvalid means that an Input breaks a rule. The error names the field.
var ErrInvalid = errors.New("invalid input")

// Member is somebody who can own shards.
type Member struct {
	ID string // unique, not empty

	// Weight is the member's share relative to others. 0 is DefaultWeight.
	Weight int

	// Capacity is the most shards it takes. 0 is no limit.
	Capacity int

	// Zone is where it runs. Each zone's sum is its share, rounded, too, and a
	// shard that has to leave a member stays in its zone if there is room. With
	// Input.Load, zones have what their members' loads make of it.
	Zone string

	// Version is what it runs; see Input.Prefer.
	Version string

	// Draining members give all they have and get nothing, pins included. If all
	// others are full, they keep what is left.
	Draining bool
}

func (m Member) weight() uint64 {
	switch {
	case m.Draining:
		return 0
	case m.Weight == 0:
		return DefaultWeight
	}
	return uint64(m.Weight)
}

// Input is all that a plan depends on. The order of Members does not matter.
type Input struct {
	Shards  int   // how many there are; they are numbered from 0
	Prev    Table // who owned what; the zero Table if nobody owned anything yet
	Members []Member

	// Pins names the members that shards are tied to. While that member is
	// there, is not draining and has the capacity, the shard is his; otherwise
	// it is planned like any other.
	Pins map[int]string

	// Prefer is a version. While members of others are there too, those get
	// nothing more, what they give goes to the preferred ones, and preferred ones do
	// not give to each other: so a roll-out that replaces every member moves every
	// shard about once. Zones and loads wait until it is over. Empty: all versions
	// are alike.
	Prefer string

	// Overfill is by how many percent of its even share a preferred member may be
	// filled while members of other versions are there; when all preferred ones are
	// full, the others get shards after all. 0 is DefaultOverfill.
	Overfill int

	// MaxMoves limits how many shards are moved in this plan because a live member
	// has more than its share; Plan.Deferred counts those that wait. Orphans, pins
	// and what draining members give do not count. 0 is no limit, negative (NoMoves) is none.
	MaxMoves int

	// Load is how hot each shard is, in any unit. Nil: all alike, and only their
	// number counts. Shards do not move for its sake while some wait for MaxMoves.
	Load []uint32
	// LoadMoves is how many shards may move for the sake of load in this plan. 0
	// is a hundredth of all, at least one; negative is none.
	LoadMoves int
	// LoadSlack is by how many percent the number of a member's shards may differ
	// from its share when Load is given; a zone's differs as its members' do. 0 is
	// DefaultLoadSlack.
	LoadSlack int
	// LoadStart and LoadStop are by how many percent a member's load must
	// exceed the average before shards move for it, and until when they do.
	// 0 is DefaultLoadStart and DefaultLoadStop.
	LoadStart, LoadStop int

	// Seed makes ties fall differently. Groups that share members want
	// different ones, or the same members get the odd shard of each.
	Seed uint64
}

// Defaults of an Input, in percent. More of DefaultOverfill saves hardly any moves,
// a quarter costs clearly more; see TestRollOut.
const (
	DefaultOverfill  = 50
	DefaultLoadSlack = 25
	DefaultLoadStart = 20
	DefaultLoadStop  = 5
)

// NoMoves as Input.MaxMoves lets no shard move for balance.
const NoMoves = -1

// Nobody is the owner of a shard that has none.
const Nobody = -1

// Table says who owns which shard.
type Table struct {
	Members []string // whom Owner's numbers mean
	Owner   []int32  // by shard: an index into Members, or Nobody
}

// OwnerOf returns the id of shard's owner, empty if it has none.
func (t Table) OwnerOf(shard int) string {
	if shard < 0 || shard >= len(t.Owner) || t.Owner[shard] < 0 {
		return ""
	}
	return t.Members[t.Owner[shard]]
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("shard planner: %w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

func (in *Input) check() error {
	if in.Shards < 1 || in.Shards > MaxShards {
		return invalid("Shards is %d, must be from 1 to %d", in.Shards, MaxShards)
	}
	if len(in.Members) > MaxMembers {
		return invalid("Members has %d, limit %d", len(in.Members), MaxMembers)
	}
	seen := make(map[string]bool, len(in.Members))
	for _, m := range in.Members {
		switch {
		case m.ID == "":
			return invalid("Members: an ID is empty")
		case seen[m.ID]:
			return invalid("Members: ID %q is there twice", m.ID)
		case m.Weight < 0 || m.Weight > MaxWeight:
			return invalid("Members: %q: Weight is %d, must be from 0 to %d", m.ID, m.Weight, MaxWeight)
		case m.Capacity < 0:
			return invalid("Members: %q: Capacity is %d, must not be negative", m.ID, m.Capacity)
		}
		seen[m.ID] = true
	}
	if n := len(in.Prev.Owner); n != 0 && n != in.Shards {
		return invalid("Prev has %d shards, Shards is %d", n, in.Shards)
	}
	clear(seen)
	for _, id := range in.Prev.Members {
		if id == "" {
			return invalid("Prev: a member's ID is empty")
		}
		if seen[id] {
			return invalid("Prev: member %q is there twice", id)
		}
		seen[id] = true
	}
	for s, o := range in.Prev.Owner {
		if o < Nobody || int(o) >= len(in.Prev.Members) {
			return invalid("Prev: owner of shard %d is %d, there are %d members", s, o, len(in.Prev.Members))
		}
	}
	for _, s := range slices.Sorted(maps.Keys(in.Pins)) { // of several errors always the same
		if s < 0 || s >= in.Shards {
			return invalid("Pins: shard is %d, must be from 0 to %d", s, in.Shards-1)
		}
	}
	if n := len(in.Load); n != 0 && n != in.Shards {
		return invalid("Load has %d shards, Shards is %d", n, in.Shards)
	}
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"MaxMoves", max(in.MaxMoves, 0), MaxShards},
		{"LoadMoves", max(in.LoadMoves, 0), MaxShards},
		{"Overfill", in.Overfill, 1000},
		{"LoadSlack", in.LoadSlack, 100},
		{"LoadStart", in.LoadStart, 1000},
		{"LoadStop", in.LoadStop, 1000},
	} {
		if f.value < 0 || f.value > f.max {
			return invalid("%s is %d, must be from 0 to %d", f.name, f.value, f.max)
		}
	}
	return nil
}

// or returns v, or def if v is 0.
func or(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}
