// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/session"
	"github.com/quorate/quorate/shard/planner"
)

// Defaults of Options.
const (
	DefaultSettle         = 100 * time.Millisecond
	DefaultBrake          = 50 // percent
	DefaultPrepareTimeout = 30 * time.Second
	DefaultDrainTimeout   = 30 * time.Second
	DefaultLeaveTimeout   = 15 * time.Second
	DefaultMoveEvery      = time.Second
)

// DrainPolicy says what becomes of a shard whose work has been told to stop and
// has not returned within Options.DrainTimeout. It is reported as stuck in any
// case.
type DrainPolicy uint8

const (
	// DrainWait keeps the shard until its work returns.
	DrainWait DrainPolicy = iota
	// DrainForce hands the shard over. Two may then work on it at once: only a
	// resource that checks tokens is safe.
	DrainForce
	// DrainLeave gives up the membership: the other shards are handed over in
	// order, Run returns ErrStuck, and the shard goes to somebody else, with the
	// same danger as by DrainForce.
	DrainLeave
)

// Options are the settings of a Group. Nil means all defaults. Those from
// Settle on are the planner's; any member can be the planner, so all members
// should have the same.
type Options struct {
	// Member is the member's name, which no two live ones can share. One that
	// stays the same over restarts, like that of a StatefulSet's pod, lets a
	// restarted member have its shards back (see Grace). Default: one that is
	// used once.
	Member string
	// Address is where the member can be reached, for routers.
	Address string
	// Weight is the member's share relative to others. Default:
	// planner.DefaultWeight.
	Weight int
	// Capacity is the most shards that the member takes. 0 is no limit.
	Capacity int
	// Zone is where the member runs; see planner.Member.
	Zone string
	// Version is what the member runs. While members of several versions are
	// there, shards that have to move go to those of the version that came last.
	Version string

	// PrepareTimeout is how long a shard stays where it is for a receiver that
	// is not ready. Default: DefaultPrepareTimeout.
	PrepareTimeout time.Duration
	// DrainTimeout is how long work may take to return before it is reported as
	// stuck and Drain applies. Default: DefaultDrainTimeout.
	DrainTimeout time.Duration
	// Drain says what happens then. Default: DrainWait.
	Drain DrainPolicy
	// LeaveTimeout is how long a member that leaves goes on to serve until its
	// shards have moved. Then it stops and leaves them to whom the plan gives
	// them. Default: DefaultLeaveTimeout.
	LeaveTimeout time.Duration

	// Settle is how long the members must have been the same before a plan is
	// made, though at most ten times as long after the first change: members that
	// leave and that come together make one plan. Default: DefaultSettle.
	Settle time.Duration
	// MinMembers is how many members the first plan waits for. Default: 1.
	MinMembers int
	// Grace is how long the shards of a member that vanished wait for it to
	// come back. Nobody works on them meanwhile. Default: not at all.
	Grace time.Duration
	// Brake is by how many percent the members may become fewer within
	// BrakeWindow. If more vanish, without having left, the fault is more likely in
	// what they share than in each of them, and all their shards would crush the
	// rest. Their shards then wait until all are back, or as many others have come,
	// at most for BrakeHold.
	// Default: DefaultBrake. 100 or more is no brake.
	Brake int
	// BrakeWindow and BrakeHold are by default one and three TTLs of the session.
	BrakeWindow, BrakeHold time.Duration
	// MaxMoves is how many shards may move for balance every MoveEvery. 0 is no
	// limit. Orphans are not counted.
	MaxMoves int
	// MoveEvery is by default DefaultMoveEvery.
	MoveEvery time.Duration
	// Load, if set, is asked by the planner every LoadEvery how hot each shard is;
	// see planner.Input. It has to honour its context. An error leaves the
	// last answer in force.
	Load func(context.Context) ([]uint32, error)
	// LoadEvery is by default a minute.
	LoadEvery time.Duration

	plant plant
}

// plant holds defects that tests put in to see that they are caught.
type plant struct {
	blind   bool // a claim is taken although its owner lives: breaks R7
	hasty   bool // a shard is handed over while its work goes on: breaks promise 2
	heir    bool // a new life acts on the claims of the one before: breaks R7
	anarchy bool // everybody plans at once: breaks no promise
}

var (
	// ErrShards means that a group has another number of shards. It is fixed
	// when the group is used first; see Group.Destroy.
	ErrShards = errors.New("number of shards differs")
	// ErrMoved is the cause of a shard's context when the shard has to move.
	ErrMoved = errors.New("shard moves")
	// ErrLeft is the cause of a shard's context when its member leaves the group.
	ErrLeft = errors.New("member leaves the group")
	// ErrStuck means that work has not returned although it was told to.
	ErrStuck = session.ErrStuck
)

func (o *Options) withDefaults(s *session.Session, shards int) (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&opts.PrepareTimeout, DefaultPrepareTimeout},
		{&opts.DrainTimeout, DefaultDrainTimeout},
		{&opts.LeaveTimeout, DefaultLeaveTimeout},
		{&opts.Settle, DefaultSettle},
		{&opts.MoveEvery, DefaultMoveEvery},
		{&opts.LoadEvery, time.Minute},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	if opts.MinMembers == 0 {
		opts.MinMembers = 1
	}
	if opts.Brake == 0 {
		opts.Brake = DefaultBrake
	}
	return opts, opts.check(s, shards)
}

func (o *Options) check(s *session.Session, shards int) error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("Options.%s %s", field, fmt.Sprintf(format, args...)))
	}
	if shards < 1 || shards > planner.MaxShards {
		errs = append(errs, fmt.Errorf("shards is %d, must be from 1 to %d", shards, planner.MaxShards))
	}
	if o.Member != "" {
		if _, err := adapters.Escape(o.Member); err != nil {
			bad("Member", "%q: %v", o.Member, err)
		}
	}
	for _, f := range []struct {
		name, value string
	}{{"Address", o.Address}, {"Zone", o.Zone}, {"Version", o.Version}} {
		if len(f.value) > adapters.MaxName {
			bad(f.name, "has %d bytes, limit %d", len(f.value), adapters.MaxName)
		}
	}
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"Weight", o.Weight, planner.MaxWeight},
		{"Capacity", o.Capacity, planner.MaxShards},
		{"MinMembers", o.MinMembers, maxMembers},
		{"Brake", o.Brake, 1000},
		{"MaxMoves", o.MaxMoves, planner.MaxShards},
		{"Drain", int(o.Drain), int(DrainLeave)},
	} {
		if f.value < 0 || f.value > f.max {
			bad(f.name, "is %d, must be from 0 to %d", f.value, f.max)
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"PrepareTimeout", o.PrepareTimeout}, {"DrainTimeout", o.DrainTimeout}, {"LeaveTimeout", o.LeaveTimeout},
		{"Settle", o.Settle}, {"Grace", o.Grace}, {"BrakeWindow", o.BrakeWindow}, {"BrakeHold", o.BrakeHold},
		{"MoveEvery", o.MoveEvery}, {"LoadEvery", o.LoadEvery},
	} {
		if f.value < 0 {
			bad(f.name, "is %v, must not be negative", f.value)
		}
	}
	return errors.Join(errs...)
}
