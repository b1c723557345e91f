// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"strconv"
	"time"

	"github.com/quorate/quorate/adapters"
)

var costRules = []rule{
	{
		name:       "cost/one-call",
		why:        "each method is one request: latency budgets are counted in round trips, and what is asked twice is not one moment",
		needsCalls: true,
		test: func(t *trial) {
			lease := t.grant().ID
			key := t.create(t.key("k"), "0").Key
			none := t.key("none")
			for what, call := range map[string]func() error{
				"Read of a key":      func() error { _, err := t.store.Read(t.ctx, key); return err },
				"Read of a subtree":  func() error { _, err := t.store.Read(t.ctx, t.root); return err },
				"Commit":             func() error { _, err := t.store.Commit(t.ctx, leased(none, "x", lease)); return err },
				"Commit with a Read": func() error { _, err := t.store.Commit(t.ctx, adapters.Tx{Reads: []string{key, t.root}}); return err },
			} {
				before := t.calls()
				t.must(call(), "%s", what)
				t.cost(what, t.calls()-before, 1, 1)
			}
			// One that proves that a leader has answered may follow.
			before := t.calls()
			_, err := t.store.Renew(t.ctx, lease)
			t.must(err, "Renew")
			t.cost("Renew", t.calls()-before, 1, 2)
			before = t.calls()
			t.conflict(adapters.Tx{If: []adapters.Cond{adapters.Absent(key)}})
			t.cost("Commit with a conflict", t.calls()-before, 1, 1)
		},
	},
	{
		name:       "cost/idle-watch",
		why:        "a watch of what does not change costs next to nothing: a loop that reads again and again shows right states too",
		needsCalls: true,
		test: func(t *trial) {
			key := t.create(t.key("k"), "0").Key
			exact, subtree := t.watch(key), t.watch(t.root)
			exact.next("a first state")
			subtree.next("a first state")
			t.sleep(200 * time.Millisecond)
			before := t.calls()
			t.sleep(time.Second)
			t.cost("1 s of two idle watches", t.calls()-before, 0, 10)
		},
	},
	{
		name:       "cost/busy-watch",
		why:        "a change costs a watch a few requests at most, whatever it is made of",
		needsCalls: true,
		test: func(t *trial) {
			const changes = 20
			key := t.create(t.key("k"), "0").Key
			w := t.watch(key)
			mod := w.untilValue(key, "0").Mod
			before := t.calls()
			for i := range changes {
				value := strconv.Itoa(i + 1)
				mod = t.commit(swap(key, mod, value)).Rev
				w.untilValue(key, value)
			}
			t.cost("20 commits, each seen by a watch", t.calls()-before, changes, 5*changes)
		},
	},
}

func (t *trial) cost(what string, calls, least, most int) {
	t.Helper()
	if calls < least || calls > most {
		t.failf("%s took %d calls, want %d to %d", what, calls, least, most)
	}
}
