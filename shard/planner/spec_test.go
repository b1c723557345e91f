// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"cmp"
	"math/big"
	"slices"

	"github.com/quorate/quorate/shard/planner"
)

// span is the fewest and the most that may be.
type span struct{ lo, hi int }

// spec is what the documentation says about the table of an Input. It is found in
// rational numbers and without a look at how the planner goes about it.
type spec struct {
	members []planner.Member
	number  map[string]int
	before  []int           // owners that are still there, -1 if none
	fixed   map[int]bool    // shards whose pins are to be honoured
	pinned  []int           // how many, by member
	had     []int           // shards of before that are not pinned
	member  []span          // pinned ones included
	group   []string        // of each member: its zone, or version in a roll-out
	sum     map[string]span // of each group
	owned   int             // shards with an owner
	rolling bool
	crowded bool // there is no room for all
}

func specify(in planner.Input) spec {
	n := len(in.Members)
	sp := spec{members: in.Members, number: map[string]int{}, fixed: map[int]bool{}, pinned: make([]int, n), had: make([]int, n)}
	for i, m := range in.Members {
		sp.number[m.ID] = i
	}
	for s := range in.Shards {
		if i, there := sp.number[in.Prev.OwnerOf(s)]; there {
			sp.before = append(sp.before, i)
		} else {
			sp.before = append(sp.before, -1)
		}
		if id, pin := in.Pins[s]; pin {
			i, there := sp.number[id]
			if there && !in.Members[i].Draining && (in.Members[i].Capacity == 0 || sp.pinned[i] < in.Members[i].Capacity) {
				sp.fixed[s] = true
				sp.pinned[i]++
			}
		}
		if i := sp.before[s]; i >= 0 && !sp.fixed[s] {
			sp.had[i]++
		}
	}
	limits := make([]span, n)
	room := 0
	for i, m := range in.Members {
		limits[i] = span{sp.pinned[i], in.Shards}
		if m.Capacity > 0 {
			limits[i].hi = min(m.Capacity, in.Shards)
		}
		if m.Draining {
			limits[i].hi = 0
		}
		room += limits[i].hi
	}
	sp.crowded = room < in.Shards
	shares := level(in.Shards, in.Members, limits)
	sp.group, sp.sum = make([]string, n), map[string]span{}
	for i, m := range in.Members {
		sp.group[i] = m.Zone
	}
	versions := map[bool]bool{}
	for _, m := range in.Members {
		versions[m.Version == in.Prefer] = versions[m.Version == in.Prefer] || !m.Draining
	}
	sp.rolling = !sp.crowded && in.Prefer != "" && versions[true] && versions[false]
	slack := 0
	switch {
	case sp.crowded:
		for i, m := range in.Members {
			if m.Draining {
				sp.member = append(sp.member, span{0, sp.had[i]})
			} else {
				sp.member = append(sp.member, span{limits[i].hi, limits[i].hi})
			}
		}
	case sp.rolling:
		sp.roll(in, shares, limits)
	default:
		if len(in.Load) > 0 {
			slack = cmp.Or(in.LoadSlack, planner.DefaultLoadSlack)
		}
		for i, share := range shares {
			around := bend(share, slack)
			sp.member = append(sp.member, span{clamp(around.lo, limits[i]), clamp(around.hi, limits[i])})
		}
	}
	for _, g := range sp.group {
		if _, there := sp.sum[g]; !there && !sp.crowded && !sp.rolling && slack == 0 {
			sp.sum[g] = bend(sp.sumOf(g, shares), 0)
		} else if !there {
			sp.sum[g] = span{0, in.Shards}
		}
	}
	for _, m := range sp.member {
		sp.owned += m.hi
	}
	sp.owned = min(sp.owned, in.Shards)
	return sp
}

// sumOf adds the shares of a group.
func (sp *spec) sumOf(group string, shares []*big.Rat) *big.Rat {
	sum := new(big.Rat)
	for i, g := range sp.group {
		if g == group {
			sum.Add(sum, shares[i])
		}
	}
	return sum
}

// roll sets what a roll-out allows: others have no more than they had and no more
// than their share; preferred ones have no less than they had and no more than
// they may be overfilled. If that leaves shards over, these are full, and the
// others have the rest.
func (sp *spec) roll(in planner.Input, shares []*big.Rat, limits []span) {
	sum := map[string]int{}
	for i, m := range in.Members {
		had := max(sp.had[i], limits[i].lo-sp.pinned[i]) + sp.pinned[i]
		if m.Version == in.Prefer {
			sp.group[i] = "preferred"
			most := clamp(bend(shares[i], cmp.Or(in.Overfill, planner.DefaultOverfill)).hi, limits[i])
			sp.member = append(sp.member, span{min(had, most), most})
		} else {
			sp.group[i] = "others"
			sp.member = append(sp.member, span{limits[i].lo, min(had, clamp(bend(shares[i], 0).hi, limits[i]))})
		}
		sum[sp.group[i]] += sp.member[i].hi
	}
	others := bend(sp.sumOf("others", shares), 0).hi
	sp.sum["others"] = span{0, others}
	if min(sum["others"], others)+sum["preferred"] >= in.Shards {
		return
	}
	sp.sum["others"] = span{0, in.Shards}
	for i, g := range sp.group {
		if g == "others" {
			sp.member[i].hi = limits[i].hi
		} else {
			sp.member[i].lo = sp.member[i].hi
		}
	}
}

func clamp(v int, s span) int { return max(min(v, s.hi), s.lo) }

// bend returns v less and more slack percent, rounded outwards.
func bend(v *big.Rat, slack int) span {
	part := func(percent int) (*big.Int, *big.Int) {
		x := new(big.Rat).Mul(v, big.NewRat(int64(percent), 100))
		return new(big.Int).DivMod(x.Num(), x.Denom(), new(big.Int))
	}
	lo, _ := part(max(0, 100-slack))
	hi, rest := part(100 + slack)
	return span{int(lo.Int64()), int(hi.Int64()) + rest.Sign()}
}

func weight(m planner.Member) int64 {
	if m.Draining {
		return 0
	}
	if m.Weight == 0 {
		return planner.DefaultWeight
	}
	return int64(m.Weight)
}

// level returns everybody's share of total: its weight times a level at which all
// shares, each kept within its limits, add up to total.
func level(total int, members []planner.Member, limits []span) []*big.Rat {
	// At which levels somebody reaches a limit. Between two of them the sum
	// grows evenly.
	type point struct{ num, den int64 }
	points := []point{{0, 1}}
	for i, m := range members {
		if w := weight(m); w > 0 {
			points = append(points, point{int64(limits[i].lo), w}, point{int64(limits[i].hi), w})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return int(a.num*b.den - b.num*a.den) })
	// sumAt returns the sum at a point, times its den, and how steep it is above.
	sumAt := func(p point) (sum, slope int64) {
		for i, m := range members {
			w := weight(m)
			switch lo, hi := int64(limits[i].lo), int64(limits[i].hi); {
			case w*p.num < lo*p.den:
				sum += lo * p.den
			case w*p.num >= hi*p.den:
				sum += hi * p.den
			default:
				sum += w * p.num
				slope += w
			}
		}
		return sum, slope
	}
	at, _ := slices.BinarySearchFunc(points, total, func(p point, total int) int {
		if sum, _ := sumAt(p); sum <= int64(total)*p.den {
			return -1
		}
		return 1
	})
	p := points[max(at-1, 0)]
	lv := big.NewRat(p.num, p.den)
	if sum, slope := sumAt(p); slope > 0 {
		lv.Add(lv, big.NewRat(int64(total)*p.den-sum, slope*p.den))
	}
	shares := make([]*big.Rat, len(members))
	for i, m := range members {
		shares[i] = new(big.Rat).Mul(lv, big.NewRat(weight(m), 1))
		for _, limit := range []struct{ v, sign int }{{limits[i].lo, -1}, {limits[i].hi, 1}} {
			if v := big.NewRat(int64(limit.v), 1); shares[i].Cmp(v) == limit.sign {
				shares[i] = v
			}
		}
	}
	return shares
}
