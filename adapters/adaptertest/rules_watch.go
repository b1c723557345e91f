// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"fmt"
	"strconv"
	"time"

	"github.com/quorate/quorate/adapters"
)

var watchRules = []rule{
	{
		name: "watch/first",
		why:  "the first state is at least as new as the call, so that nobody has to read first and no change falls between",
		test: func(t *trial) {
			key := t.create(t.key("d/k"), "0").Key
			for i := range 20 {
				want := strconv.Itoa(i + 1)
				t.update(key, want)
				for _, name := range []string{key, t.key("d/")} {
					for view, err := range t.store.Watch(t.ctx, name) {
						t.must(err, "Watch(%q)", name)
						if kv, _ := view.Get(key); string(kv.Value) != want {
							t.failf("the first state of a watch of %q shows %s, the value was %s before the call", name, show(kv), want)
						}
						break
					}
				}
			}
		},
	},
	{
		name: "watch/missing",
		why:  "a watch of what does not exist yields an empty state at once, and then the key when it is made",
		test: func(t *trial) {
			key := t.key("d/k")
			exact, subtree := t.watch(key), t.watch(t.key("d/"))
			for _, w := range []*watching{exact, subtree} {
				if v := w.next("a first, empty state"); len(v.KVs) != 0 {
					t.failf("the watch of missing %q began with %s", w.name, list(v))
				}
			}
			t.create(key, "x")
			exact.untilValue(key, "x")
			subtree.untilValue(key, "x")
		},
	},
	{
		name: "watch/changes",
		why:  "each change of the name comes to be seen, whatever made it: a waiter that misses one waits for ever",
		test: func(t *trial) {
			key, other := t.key("d/k"), t.key("d/other")
			exact, subtree := t.watch(key), t.watch(t.key("d/"))
			both := func(value string) {
				t.Helper()
				exact.untilValue(key, value)
				subtree.untilValue(key, value)
			}
			exact.next("a first state")
			subtree.next("a first state")
			one, two := t.grant().ID, t.grant().ID
			t.createLeased(key, "1", one)
			both("1")
			t.update(key, "2")
			both("2")
			t.commit(adapters.Tx{If: []adapters.Cond{adapters.HeldBy(key, one)}, Then: []adapters.Op{adapters.PutLeased(key, []byte("3"), two)}})
			both("3")
			t.commit(adapters.Tx{If: []adapters.Cond{adapters.HeldBy(key, two)}, Then: []adapters.Op{adapters.Put(key, []byte("4"))}})
			both("4")
			t.delete(key)
			both("")
			t.createLeased(key, "5", one)
			both("5")
			t.revoke(one)
			both("")
			t.create(other, "x")
			subtree.untilValue(other, "x")
			t.delete(other)
			subtree.untilValue(other, "")
		},
	},
	{
		name: "watch/equal-value",
		why:  "a write of the value that is there already is a change, since it moves Mod: a swap on what a watch showed must not fail for ever",
		test: func(t *trial) {
			key := t.create(t.key("k"), "same").Key
			w := t.watch(key)
			w.untilValue(key, "same")
			for range 3 {
				t.update(key, "same")
				mod := t.get(key).Mod
				w.until(fmt.Sprintf("Mod %d", mod), func(v adapters.View) bool { kv, _ := v.Get(key); return kv.Mod == mod })
			}
		},
	},
	{
		name: "watch/scope",
		why:  "a name shows its own key, or what is beneath it, and not its siblings: \"a/\" holds neither \"a\" nor \"ab\"",
		test: func(t *trial) {
			exact, subtree := t.watch(t.key("a")), t.watch(t.key("a/"))
			exact.next("a first state")
			subtree.next("a first state")
			for _, k := range []string{"a", "ab", "a/b", "a-", "a.b", "a0", "a/b/c", "aa/b", "b/a"} {
				t.create(t.key("%s", k), k)
			}
			t.scope(t.key("a"), t.key("a"))
			t.scope(t.key("a/"), t.key("a/b"), t.key("a/b/c"))
			t.scope(t.key("a/b/"), t.key("a/b/c"))
			t.scope(t.key("a/b/c/"))
			// What is shown at any time is checked by the watches themselves.
			exact.untilValue(t.key("a"), "a")
			subtree.untilValue(t.key("a/b/c"), "a/b/c")
		},
	},
	{
		name: "watch/quiet",
		why:  "nothing is yielded unless the name changed: a queue of a thousand waiters must not wake for each other's writes",
		test: func(t *trial) {
			t.create(t.key("k"), "0")
			t.create(t.key("d/x"), "0")
			exact, subtree, none := t.watch(t.key("k")), t.watch(t.key("d/")), t.watch(t.key("none"))
			for _, w := range []*watching{exact, subtree, none} {
				w.next("a first state")
			}
			for i := range 10 {
				for _, k := range []string{"k0", "k/0", "d", "d0/x", "none/x", "non"} {
					key := t.key("%s", k)
					t.create(key, strconv.Itoa(i))
					t.update(key, "y")
					t.sleep(time.Millisecond) // lest the wakes that should not be coalesce
					t.delete(key)
				}
				t.delete(t.key("none")) // which is not there
				_, err := t.store.Commit(t.ctx, adapters.Tx{
					If:   []adapters.Cond{adapters.Absent(t.key("k")), adapters.Absent(t.key("d/x"))},
					Then: []adapters.Op{adapters.Put(t.key("k"), nil), adapters.Put(t.key("d/x"), nil)},
				})
				t.wantErr(err, adapters.ErrConflict, "create of what exists")
			}
			exact.quiet(300*time.Millisecond, "its key did not change")
			subtree.quiet(0, "nothing beneath it changed")
			none.quiet(0, "its key was not made")
			t.update(t.key("k"), "1")
			exact.untilValue(t.key("k"), "1")
			t.update(t.key("d/x"), "1")
			subtree.untilValue(t.key("d/x"), "1")
		},
	},
	{
		name: "watch/recreated",
		why:  "a key that was deleted and made again shows another Created: a waiter must see that its predecessor went, even if a namesake came",
		test: func(t *trial) {
			kv := t.create(t.key("k"), "x")
			w := t.watch(kv.Key)
			w.untilValue(kv.Key, "x")
			for range 20 {
				before := kv.Created
				t.delete(kv.Key)
				if kv = t.create(kv.Key, "x"); kv.Created <= before {
					t.failf("deleted and made again: Created %d after %d", kv.Created, before)
				}
				w.until(fmt.Sprintf("Created %d", kv.Created), func(v adapters.View) bool {
					now, _ := v.Get(kv.Key)
					return now.Created == kv.Created
				})
			}
		},
	},
	{
		name: "watch/burst",
		why:  "a watch under a burst of writes may skip states, but not go back and not miss the last one",
		test: func(t *trial) {
			const writes, readers = 200, 8
			key := t.create(t.key("d/k"), "0").Key
			var watches []*watching
			for i := range readers {
				watches = append(watches, t.watch([]string{key, t.key("d/")}[i%2]))
			}
			mod := watches[0].untilValue(key, "0").Mod
			for i := range writes {
				mod = t.commit(swap(key, mod, strconv.Itoa(i+1))).Rev
			}
			for _, w := range watches {
				w.until("the last of the writes", func(v adapters.View) bool {
					kv, _ := v.Get(key)
					return string(kv.Value) == strconv.Itoa(writes)
				})
			}
			t.sleep(50 * time.Millisecond)
			for _, w := range watches {
				w.quiet(0, "it had shown the last write already")
			}
		},
	},
	{
		name: "watch/slow-reader",
		why:  "a reader that works on a state for long gets the last state afterwards, and no older one",
		test: func(t *trial) {
			key := t.create(t.key("k"), "0").Key
			last := ""
			for view, err := range t.store.Watch(t.ctx, key) {
				t.must(err, "Watch")
				kv, _ := view.Get(key)
				now := string(kv.Value)
				if now <= last {
					t.failf("the watch yielded %q after %q", now, last)
				}
				if last = now; now == "3" {
					return
				}
				if now == "0" {
					for _, v := range []string{"1", "2", "3"} {
						t.update(key, v)
						t.sleep(20 * time.Millisecond)
					}
				}
			}
			t.failf("the watch ended without an error")
		},
	},
	{
		name: "watch/atomic",
		why:  "a state is of one moment: what one Tx wrote is seen together or not at all",
		test: func(t *trial) {
			a, b := t.key("d/a"), t.key("d/b")
			w := t.watch(t.key("d/"))
			w.next("a first state")
			res := t.commit(adapters.Tx{
				If:   []adapters.Cond{adapters.Absent(a), adapters.Absent(b)},
				Then: []adapters.Op{adapters.Put(a, []byte("0")), adapters.Put(b, []byte("0"))},
			})
			whole := func(v adapters.View) {
				kvA, _ := v.Get(a)
				kvB, _ := v.Get(b)
				if kvA.Mod != kvB.Mod || string(kvA.Value) != string(kvB.Value) {
					t.failf("the watch saw half of a Tx: %s", list(v))
				}
			}
			last := res.Rev
			for range 20 { // bursts of one and of many
				for _, n := range []int{1, 5} {
					mod, err := t.writePairs(a, b, last, n)
					t.must(err, "writing two keys together")
					last = mod
					w.until("the last of the writes", func(v adapters.View) bool {
						whole(v)
						kv, _ := v.Get(a)
						return kv.Mod == mod
					})
				}
			}
		},
	},
}

// scope requires which keys a Read of name shows.
func (t *trial) scope(name string, want ...string) {
	t.Helper()
	v := t.read(name)
	ok := len(v.KVs) == len(want)
	for i := range want {
		ok = ok && v.KVs[i].Key == want[i]
	}
	if !ok {
		t.failf("Read(%q) shows %s, want %q", name, list(v), want)
	}
}
