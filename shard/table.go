// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/shard/planner"
	"github.com/quorate/quorate/shard/ring"
)

// Owner is a member as others see it.
type Owner struct {
	ID      string // Options.Member
	Address string // Options.Address
}

// A Table is the plan of one epoch: who is to own which shard. It never
// changes, so it can be read by many goroutines without a lock.
//
// The plan is ahead of the facts while a shard moves: the member that had it
// before goes on until it has wound up. A router that is told "not mine" by the
// one asks the other, Next.
type Table struct {
	epoch   uint64
	cause   string
	members []entry  // by number
	owner   []uint16 // by shard: number + 1, or 0 for nobody
	before  map[int]uint16
}

// entry is what the table knows of a number.
type entry struct {
	Owner
	gone     bool   // was not there when the plan was made
	draining bool   // wants to be rid of its shards
	since    uint64 // epoch in which any of this changed, or of the base that told it
}

func newTable(shards int) *Table { return &Table{owner: make([]uint16, shards)} }

// Epoch is the plan's number. It only grows. 0 is before the first plan.
func (t *Table) Epoch() uint64 { return t.epoch }

// Cause says, for people, why this plan was made.
func (t *Table) Cause() string { return t.cause }

// Shards is how many there are.
func (t *Table) Shards() int { return len(t.owner) }

// Of returns the shard that key belongs to. It is the same for all time and on
// all nodes, for that number of shards.
func (t *Table) Of(key string) int { return Of(key, len(t.owner)) }

// Of returns which of that many shards key belongs to.
func Of(key string, shards int) int { return ring.Index(key, shards) }

// Owner returns who is to own the shard; the zero Owner if nobody is.
func (t *Table) Owner(shard int) Owner {
	if n := t.owner[shard]; n > 0 {
		return t.members[n-1].Owner
	}
	return Owner{}
}

// Next returns the other one to ask for a shard that is moving by this plan:
// he who had it before and may not have finished. It is the zero Owner for all
// others.
func (t *Table) Next(shard int) Owner {
	if n := t.before[shard]; n > 0 {
		return t.members[n-1].Owner
	}
	return Owner{}
}

// Route returns the owner of key's shard, and who else may have it.
func (t *Table) Route(key string) (owner, next Owner) {
	s := t.Of(key)
	return t.Owner(s), t.Next(s)
}

// Members returns who is in the table, by id.
func (t *Table) Members() []Owner {
	var all []Owner
	for _, e := range t.members {
		if e.ID != "" && !e.gone {
			all = append(all, e.Owner)
		}
	}
	slices.SortFunc(all, func(a, b Owner) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// number returns the number of id.
func (t *Table) number(id string) (int, bool) {
	for n, e := range t.members {
		if e.ID == id {
			return n, true
		}
	}
	return 0, false
}

// is says whether shard is planned for the member of that id.
func (t *Table) is(shard int, id string) bool {
	n := t.owner[shard]
	return n > 0 && t.members[n-1].ID == id
}

// apply returns the table after d. T stays as it is.
func (t *Table) apply(d *diff, epoch uint64) (*Table, error) {
	next := &Table{
		epoch: epoch, cause: d.cause, members: slices.Clone(t.members), owner: t.owner,
		before: make(map[int]uint16, len(d.moves)),
	}
	for _, n := range d.gone {
		if n >= len(next.members) {
			return nil, fmt.Errorf("%w: number %d is nobody's", errWire, n)
		}
		next.members[n].gone, next.members[n].since = true, epoch
	}
	for _, n := range d.names {
		for n.number >= len(next.members) {
			next.members = append(next.members, entry{})
		}
		next.members[n.number] = entry{Owner: n.Owner, draining: n.draining, since: epoch}
	}
	if len(d.moves) > 0 {
		next.owner = slices.Clone(t.owner)
	}
	for _, m := range d.moves {
		if m.to >= len(next.members) || m.shard >= len(next.owner) {
			return nil, fmt.Errorf("%w: shard %d moves to number %d", errWire, m.shard, m.to)
		}
		if from := next.owner[m.shard]; from > 0 && !next.members[from-1].gone {
			next.before[m.shard] = from
		}
		next.owner[m.shard] = uint16(m.to + 1)
	}
	return next, nil
}

// plan returns the table as the planner knows it.
func (t *Table) plan() planner.Table {
	p := planner.Table{Owner: make([]int32, len(t.owner))}
	index := make([]int32, len(t.members))
	for n, e := range t.members {
		if e.ID != "" {
			index[n] = int32(len(p.Members))
			p.Members = append(p.Members, e.ID)
		}
	}
	for s, n := range t.owner {
		p.Owner[s] = planner.Nobody
		if n > 0 {
			p.Owner[s] = index[n-1]
		}
	}
	return p
}

// String is the table for people: a line per member with its shards.
func (t *Table) String() string {
	counts := make([]int, len(t.members)+1)
	for _, n := range t.owner {
		counts[n]++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "epoch %d: %d shards, %s\n", t.epoch, len(t.owner), t.cause)
	for n, e := range t.members {
		if e.ID == "" || e.gone && counts[n+1] == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s\t%d\t%s", e.ID, counts[n+1], runs(t.owner, uint16(n+1)))
		if e.gone {
			b.WriteString("\tgone")
		}
		b.WriteByte('\n')
	}
	if counts[0] > 0 {
		fmt.Fprintf(&b, "nobody\t%d\t%s\n", counts[0], runs(t.owner, 0))
	}
	return b.String()
}

// runs lists the shards of number n as ranges: "0-3 7 9-10".
func runs(owner []uint16, n uint16) string {
	var parts []string
	for s := 0; s < len(owner); s++ {
		if owner[s] != n {
			continue
		}
		end := s
		for end+1 < len(owner) && owner[end+1] == n {
			end++
		}
		if len(parts) == 16 {
			parts = append(parts, "...")
			break
		}
		if end > s {
			parts = append(parts, fmt.Sprintf("%d-%d", s, end))
		} else {
			parts = append(parts, fmt.Sprint(s))
		}
		s = end
	}
	return strings.Join(parts, " ")
}
