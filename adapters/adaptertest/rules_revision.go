// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/quorate/quorate/adapters"
)

var revisionRules = []rule{
	{
		name: "revision/grows",
		why:  "every write moves Mod beyond every earlier one, across names and deletes: revisions are fencing tokens and places in line",
		test: func(t *trial) {
			var newest adapters.Rev
			step := func(what string, kv adapters.KV) {
				if kv.Mod <= newest {
					t.failf("%s: Mod %d after %d", what, kv.Mod, newest)
				}
				newest = kv.Mod
			}
			for i := range 20 {
				key := t.key("k%d", i%3)
				kv := t.create(key, "1")
				step("create", kv)
				if kv.Created != kv.Mod {
					t.failf("a key just made has Created %d, Mod %d", kv.Created, kv.Mod)
				}
				t.update(key, "2")
				step("update", t.get(key))
				t.delete(key)
			}
		},
	},
	{
		name: "revision/created",
		why:  "Created stays for the life of a key, whoever writes it and whichever lease it moves to, and never comes back: it is the place in a queue and the token of the holder",
		test: func(t *trial) {
			key, one, two := t.key("k"), t.grant().ID, t.grant().ID
			kv := t.createLeased(key, "0", one)
			same := func(what string) {
				t.Helper()
				now := t.get(key)
				if now.Created != kv.Created {
					t.failf("%s changed Created from %d to %d", what, kv.Created, now.Created)
				}
				if now.Mod <= kv.Mod {
					t.failf("%s left Mod at %d (was %d)", what, now.Mod, kv.Mod)
				}
				kv = now
			}
			t.commit(swap(key, kv.Mod, "1"))
			same("PutKeep")
			t.commit(adapters.Tx{If: []adapters.Cond{adapters.HeldBy(key, one)}, Then: []adapters.Op{adapters.PutLeased(key, []byte("2"), two)}})
			same("moving to another lease")
			t.commit(adapters.Tx{If: []adapters.Cond{adapters.HeldBy(key, two)}, Then: []adapters.Op{adapters.Put(key, []byte("3"))}})
			same("taking off the lease")
			for range 5 {
				t.delete(key)
				again := t.create(key, "0")
				if again.Created <= kv.Mod {
					t.failf("deleted and made again: Created %d, the life before ended at %d", again.Created, kv.Mod)
				}
				kv = again
			}
		},
	},
	{
		name: "revision/shared",
		why:  "all keys that one Tx writes get its Rev as Mod, and no other Tx has that Rev: a reader can tell what was written together",
		test: func(t *trial) {
			seen := make(map[adapters.Rev]bool)
			for i := range 10 {
				a, b := t.key("a%d", i), t.key("b%d", i)
				res := t.commit(adapters.Tx{
					If:   []adapters.Cond{adapters.Absent(a), adapters.Absent(b)},
					Then: []adapters.Op{adapters.Put(a, nil), adapters.Put(b, nil)},
				})
				if kvA, kvB := t.get(a), t.get(b); kvA.Mod != res.Rev || kvB.Mod != res.Rev {
					t.failf("Tx with Rev %d left Mod %d and %d", res.Rev, kvA.Mod, kvB.Mod)
				}
				if seen[res.Rev] {
					t.failf("two transactions share Rev %d", res.Rev)
				}
				seen[res.Rev] = true
			}
		},
	},
	{
		name: "revision/equal-value",
		why:  "a write of the value that is there already still moves Mod: otherwise two swaps on one revision both succeed",
		test: func(t *trial) {
			kv := t.create(t.key("k"), "same")
			for range 5 {
				t.commit(swap(kv.Key, kv.Mod, "same"))
				now := t.get(kv.Key)
				if now.Mod <= kv.Mod {
					t.failf("an equal value left Mod at %d", now.Mod)
				}
				t.conflict(swap(kv.Key, kv.Mod, "same"))
				t.conflict(swap(kv.Key, kv.Mod, "other"))
				kv = now
			}
		},
	},
	{
		name: "revision/equal-value-race",
		why:  "of many that swap on one revision exactly one may succeed, even if all write the same value",
		test: func(t *trial) {
			kv := t.create(t.key("k"), "same")
			for round := range 10 {
				errs := t.together(8, func(int) error {
					_, err := t.store.Commit(t.ctx, swap(kv.Key, kv.Mod, "same"))
					return err
				})
				t.oneWinner(errs, fmt.Sprintf("round %d: swaps on Mod %d", round, kv.Mod))
				kv = t.get(kv.Key)
			}
		},
	},
	{
		name: "revision/counter",
		why:  "50 goroutines that add one by compare and swap must add 50: a lost update means that two held the same revision",
		test: func(t *trial) {
			const n = 50
			key := t.create(t.key("counter"), "0").Key
			errs := t.together(n, func(int) error {
				for range 20 * n { // each failure is somebody's success, so n tries are enough
					view, err := t.store.Read(t.ctx, key)
					if err != nil {
						return err
					}
					kv, _ := view.Get(key)
					count, err := strconv.Atoi(string(kv.Value))
					if err != nil {
						return err
					}
					_, err = t.store.Commit(t.ctx, swap(key, kv.Mod, strconv.Itoa(count+1)))
					if !errors.Is(err, adapters.ErrConflict) {
						return err
					}
				}
				return errors.New("never got through")
			})
			t.must(errors.Join(errs...), "counting")
			t.value(key, strconv.Itoa(n))
		},
	},
}
