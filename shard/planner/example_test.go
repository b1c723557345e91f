// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"fmt"

	"github.com/quorate/quorate/shard/planner"
)

// A third member joins two: it gets a third, and nothing else moves.
func ExampleMake() {
	two := []planner.Member{{ID: "berlin-1", Zone: "berlin"}, {ID: "paris-1", Zone: "paris"}}
	first, err := planner.Make(planner.Input{Shards: 12, Members: two})
	if err != nil {
		fmt.Println(err)
		return
	}
	three := append(two, planner.Member{ID: "paris-2", Zone: "paris"})
	plan, err := planner.Make(planner.Input{Shards: 12, Members: three, Prev: first.Table})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan.String())
	for _, m := range plan.Moves {
		fmt.Println(m.Shard, "from", m.From, "to", m.To, "for", m.Why)
	}
	// Output:
	// 12 shards, 3 members, 4 moves (fewest possible 4)
	// berlin-1	had 6	has 4	due 4 to 4
	// paris-1	had 6	has 4	due 4 to 4
	// paris-2	had 0	has 4	due 4 to 4
	// 5 from paris-1 to paris-2 for balance
	// 6 from berlin-1 to paris-2 for balance
	// 8 from berlin-1 to paris-2 for balance
	// 9 from paris-1 to paris-2 for balance
}

// Why is a shard where it is? One is pinned to a new member, another to one that is
// draining.
func ExamplePlan_Explain() {
	plan, err := planner.Make(planner.Input{
		Shards:  6,
		Prev:    planner.Table{Members: []string{"a", "b"}, Owner: []int32{0, 0, 0, 1, 1, 1}},
		Members: []planner.Member{{ID: "a"}, {ID: "b", Draining: true}, {ID: "c"}},
		Pins:    map[int]string{0: "c", 1: "b"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for shard := range 6 {
		fmt.Println(plan.Explain(shard))
	}
	// Output:
	// shard 0: goes from a to c: it is pinned there
	// shard 1: is pinned to b, who is draining; stays with a, who had 3, has 3 and is due 3
	// shard 2: stays with a, who had 3, has 3 and is due 3
	// shard 3: goes to a, who had 3, has 3 and is due 3: its owner b is draining
	// shard 4: goes to c, who had 0, has 3 and is due 3: its owner b is draining
	// shard 5: goes to c, who had 0, has 3 and is due 3: its owner b is draining
}
