// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/shard/planner"
)

// times returns n, more if there is time for it and less with -short.
func times(n int) int {
	switch {
	case os.Getenv("QUORATE_LONG") != "":
		return n * 20
	case testing.Short():
		return n/20 + 1
	}
	return n
}

// TestRandomSteps lets things happen to many small groups and some larger ones.
// Each step is a plan made from the table of the step before.
func TestRandomSteps(t *testing.T) {
	for _, size := range []struct{ shards, members, worlds, steps int }{
		{12, 4, 1600, 40}, {64, 9, 1000, 40}, {600, 40, 30, 40}, {3000, 200, 5, 16},
	} {
		for half := range 2 {
			t.Run(fmt.Sprintf("%dx%d/%d", size.shards, size.members, half), func(t *testing.T) {
				t.Parallel()
				for n := range times(size.worlds / 2) {
					seed := uint64(n*2 + half)
					d := rand.New(rand.NewPCG(seed, uint64(size.shards)))
					w := newWorld(d, size.shards, size.members)
					for step := range size.steps {
						if err := w.step(d); err != nil {
							require.NoError(t, err, "seed %d, step %d: %s", seed, step, show(w.in))
						}
					}
				}
			})
		}
	}
}

func show(in planner.Input) string {
	s := fmt.Sprintf("%#v", in)
	return s[:min(len(s), 4000)]
}

// step changes the world, makes a plan, and looks at it from all sides.
func (w *world) step(d *rand.Rand) error {
	for range 1 + w.IntN(4)/3*w.IntN(4) {
		w.change()
	}
	p, err := planner.Make(w.in)
	if err != nil {
		return err
	}
	if err := verify(w.in, p); err != nil {
		return err
	}
	if err := same(w.in, p, d); err != nil {
		return err
	}
	if err := rests(w.in, p); err != nil {
		return err
	}
	w.in.Prev = p.Table
	return nil
}

// same makes the plan once more, of the same things in another order.
func same(in planner.Input, p planner.Plan, d *rand.Rand) error {
	q, err := planner.Make(shuffled(in, d))
	if err != nil {
		return err
	}
	for s := range in.Shards {
		if p.Table.OwnerOf(s) != q.Table.OwnerOf(s) {
			return fmt.Errorf("in another order, shard %d goes to %q, not to %q", s, q.Table.OwnerOf(s), p.Table.OwnerOf(s))
		}
	}
	if a, b := p.String(), q.String(); a != b {
		return fmt.Errorf("in another order, the plan is\n%s, not\n%s", b, a)
	}
	return nil
}

// rests makes plans from the plan's table until nothing moves any more, which must
// be at once, but for what was left for later, loads and roll-outs.
func rests(in planner.Input, p planner.Plan) error {
	left, moved := p.Deferred, 0
	for plans := 1; ; plans++ {
		in.Prev = p.Table
		q, err := planner.Make(in)
		if err != nil {
			return err
		}
		hot := 0
		for _, m := range q.Moves {
			if m.Why == planner.Hot {
				hot++
			}
		}
		moved += len(q.Moves) - hot
		if len(q.Moves) == 0 && q.Deferred == 0 {
			p = q
			break
		}
		if hot == 0 && p.Deferred == 0 {
			return fmt.Errorf("plan %d after it moves %v", plans, q.Moves)
		}
		if plans > 10*in.Shards {
			return fmt.Errorf("no rest after %d plans", plans)
		}
		p = q
	}
	if left == 0 && moved == 0 {
		return nil // verified already
	}
	if sp := specify(in); moved != left && !sp.crowded {
		return fmt.Errorf("%d moves were left for later, %d came", left, moved)
	}
	return verify(in, p)
}

func dice42() *rand.Rand { return rand.New(rand.NewPCG(4, 2)) }
