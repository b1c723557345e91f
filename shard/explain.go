// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"fmt"
	"strings"

	"github.com/quorate/quorate/adapters"
)

// An Explanation tells all about one shard, as the store has it.
type Explanation struct {
	Shard int
	Epoch uint64 // of the plan
	Cause string // why that was made
	Plan  Owner  // who is to own the shard by it
	From  Owner  // who had it before, if this plan moves it

	Claimed string // id of the member that its claim names; empty if there is none
	Token   uint64 // fencing token of the claim
	Since   uint64 // epoch of the plan that the claim follows
	Alive   bool   // that member is there, in the life that the claim names
	Session string // id of that life's session
	Pin     string // id of the member that it is pinned to, if any
}

// Explain tells who owns a shard, since when and with which token, who is to
// own it, and why.
func (g *Group) Explain(ctx context.Context, shard int) (Explanation, error) {
	e, err := g.explain(ctx, shard)
	return e, g.errorf("explain", err)
}

func (g *Group) explain(ctx context.Context, shard int) (Explanation, error) {
	e := Explanation{Shard: shard}
	if shard < 0 || shard >= g.shards {
		return e, fmt.Errorf("shard is %d, must be from 0 to %d", shard, g.shards-1)
	}
	store := g.s.Store()
	res, err := store.Commit(ctx, adapters.Tx{Reads: []string{g.keys.head(), g.keys.claim(shard), g.keys.pins()}})
	if err != nil {
		return e, err
	}
	p := plans{store, g.keys, g.shards}
	t, err := p.update(ctx, newTable(g.shards), res.Views[0])
	if err != nil {
		return e, err
	}
	e.Epoch, e.Cause, e.Plan, e.From = t.Epoch(), t.Cause(), t.Owner(shard), t.Next(shard)
	if kv, there := res.Views[2].Get(g.keys.pins()); there {
		pins, err := parsePins(kv)
		if err != nil {
			return e, err
		}
		e.Pin = pins[shard]
	}
	kv, there := res.Views[1].Get(g.keys.claim(shard))
	if !there {
		return e, nil
	}
	c, err := decodeClaim(kv)
	if err != nil {
		return e, err
	}
	e.Claimed, e.Token, e.Since = c.Member, uint64(kv.Mod), c.Epoch
	view, err := store.Read(ctx, g.keys.member(c.Member))
	if err != nil {
		return e, err
	}
	if kv, there := view.Get(g.keys.member(c.Member)); there && kv.Created == c.Life {
		m, err := decodeMember(kv)
		if err != nil {
			return e, err
		}
		e.Alive, e.Session = true, m.Session
	}
	return e, nil
}

// String is the explanation in a sentence.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "shard %d: ", e.Shard)
	switch {
	case e.Claimed == "":
		b.WriteString("nobody has owned it yet")
	case e.Alive:
		fmt.Fprintf(&b, "%s owns it with token %d since epoch %d (session %s)", e.Claimed, e.Token, e.Since, e.Session)
	default:
		fmt.Fprintf(&b, "nobody owns it; %s did with token %d since epoch %d, and is gone", e.Claimed, e.Token, e.Since)
	}
	fmt.Fprintf(&b, "; plan of epoch %d (%s): ", e.Epoch, e.Cause)
	switch {
	case e.Epoch == 0:
		b.WriteString("there is none")
	case e.Plan.ID == "":
		b.WriteString("nobody has the capacity for it")
	case e.Plan.ID == e.Claimed && e.Alive:
		b.WriteString("it stays")
	default:
		fmt.Fprintf(&b, "it goes to %s", e.Plan.ID)
	}
	if e.Pin != "" {
		fmt.Fprintf(&b, "; it is pinned to %s", e.Pin)
	}
	return b.String()
}
