// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/adapters"
)

var commitRules = []rule{
	{
		name: "commit/read-after",
		why:  "a Read that starts after a Commit returned must show it: ownership is decided by reads, and a stale one names an owner of the past",
		test: func(t *trial) {
			key := t.key("k")
			mod := t.create(key, "0").Mod
			for i := range 50 {
				want := fmt.Sprint(i + 1)
				res := t.commit(swap(key, mod, want))
				if i%2 == 0 { // another goroutine, perhaps another connection
					got, err := adapters.View{}, error(nil)
					t.together(1, func(int) error { got, err = t.store.Read(t.ctx, t.root); return err })
					t.must(err, "Read(%q)", t.root)
					if kv, _ := got.Get(key); string(kv.Value) != want {
						t.failf("after Commit %d returned, Read shows %s", i+1, show(kv))
					}
				}
				kv := t.value(key, want)
				if kv.Mod != res.Rev {
					t.failf("%q has Mod %d, the Commit that wrote it said Rev %d", key, kv.Mod, res.Rev)
				}
				mod = kv.Mod
			}
			t.delete(key)
			t.gone(key, "its delete has returned")
		},
	},
	{
		name: "commit/create-once",
		why:  "of many that create one key exactly one may succeed: that is what a lock is made of",
		test: func(t *trial) {
			key := t.key("k")
			for round := range 5 {
				var winner atomic.Int64
				errs := t.together(16, func(i int) error {
					_, err := t.store.Commit(t.ctx, adapters.Tx{
						If:   []adapters.Cond{adapters.Absent(key)},
						Then: []adapters.Op{adapters.Put(key, fmt.Append(nil, i))},
					})
					if err == nil {
						winner.Store(int64(i))
					}
					return err
				})
				t.oneWinner(errs, fmt.Sprintf("round %d: creates of %q", round, key))
				t.value(key, fmt.Sprint(winner.Load()))
				t.delete(key)
			}
		},
	},
	{
		name: "commit/conditions",
		why:  "a Tx is applied if its condition holds and answered with ErrConflict, not applied, if it does not",
		test: func(t *trial) {
			own, other := t.grant().ID, t.grant().ID
			free := t.create(t.key("free"), "x")
			held := t.createLeased(t.key("held"), "x", own)
			none := t.key("none")
			for i, c := range []struct {
				cond  adapters.Cond
				holds bool
			}{
				{adapters.Absent(none), true},
				{adapters.Absent(free.Key), false},
				{adapters.Absent(held.Key), false},
				{adapters.Unchanged(free.Key, free.Mod), true},
				{adapters.Unchanged(held.Key, held.Mod), true},
				{adapters.Unchanged(free.Key, free.Mod-1), false},
				{adapters.Unchanged(free.Key, free.Mod+1), false},
				{adapters.Unchanged(free.Key, held.Mod), false},
				{adapters.Unchanged(none, free.Mod), false},
				{adapters.Unchanged(none, 0), false},
				{adapters.HeldBy(held.Key, own), true},
				{adapters.HeldBy(held.Key, other), false},
				{adapters.HeldBy(free.Key, own), false},
				{adapters.HeldBy(none, own), false},
			} {
				mark := t.key("mark/%d", i)
				tx := adapters.Tx{
					If:   []adapters.Cond{adapters.Absent(mark), c.cond},
					Then: []adapters.Op{adapters.Put(mark, nil)},
				}
				if c.holds {
					t.commit(tx)
					t.get(mark)
				} else {
					t.conflict(tx)
					t.gone(mark, fmt.Sprintf("the condition does not hold: %s", brief(tx)))
				}
			}
		},
	},
	{
		name: "commit/several-conditions",
		why:  "all conditions must hold, also those on one key: a fence is often a second condition on a key that is written",
		test: func(t *trial) {
			own, other := t.grant().ID, t.grant().ID
			kv := t.createLeased(t.key("k"), "0", own)
			both := func(mod adapters.Rev, id adapters.LeaseID) adapters.Tx {
				return adapters.Tx{
					If:   []adapters.Cond{adapters.HeldBy(kv.Key, id), adapters.Unchanged(kv.Key, mod)},
					Then: []adapters.Op{adapters.PutKeep(kv.Key, []byte("1"))},
				}
			}
			t.conflict(both(kv.Mod-1, own))
			t.conflict(both(kv.Mod, other))
			t.value(kv.Key, "0")
			t.commit(both(kv.Mod, own))
			kv = t.value(kv.Key, "1")

			a, b := t.key("a"), t.key("b")
			for _, conds := range [][]adapters.Cond{
				{adapters.Absent(a), adapters.Absent(b), adapters.Absent(kv.Key)},
				{adapters.Unchanged(kv.Key, kv.Mod-1), adapters.Absent(a), adapters.Absent(b)},
				{adapters.Absent(a), adapters.HeldBy(kv.Key, other), adapters.Absent(b)},
				{adapters.Absent(a), adapters.Absent(b), adapters.Absent(kv.Key), adapters.HeldBy(kv.Key, own)},
			} {
				t.conflict(adapters.Tx{If: conds, Then: []adapters.Op{adapters.Put(a, nil), adapters.Put(b, nil)}})
			}
			t.gone(a, "one condition of three did not hold")
			t.gone(b, "one condition of three did not hold")
		},
	},
	{
		name: "commit/all-or-nothing",
		why:  "a Tx is one step: a reader must never see half of it, and a Tx that failed must leave nothing",
		test: func(t *trial) {
			dead := t.grant().ID
			t.revoke(dead)
			a, b, c := t.key("a"), t.key("b"), t.key("c")
			t.conflict(adapters.Tx{
				If:   []adapters.Cond{adapters.Absent(a), adapters.Absent(b), adapters.Unchanged(c, 1)},
				Then: []adapters.Op{adapters.Put(a, nil), adapters.Put(b, nil), adapters.PutKeep(c, nil)},
			})
			_, err := t.store.Commit(t.ctx, adapters.Tx{
				If:   []adapters.Cond{adapters.Absent(a), adapters.Absent(b)},
				Then: []adapters.Op{adapters.Put(a, nil), adapters.PutLeased(b, nil, dead)},
			})
			t.wantErr(err, adapters.ErrLeaseLost, "a Tx with a put on a revoked lease")
			if v := t.read(t.root); len(v.KVs) > 0 {
				t.failf("two failed transactions left %s", list(v))
			}

			res := t.commit(adapters.Tx{
				If:   []adapters.Cond{adapters.Absent(a), adapters.Absent(b)},
				Then: []adapters.Op{adapters.Put(a, []byte("0")), adapters.Put(b, []byte("0"))},
			})
			var stop atomic.Bool
			errs := t.together(2, func(i int) error {
				if i == 0 {
					defer stop.Store(true)
					_, err := t.writePairs(a, b, res.Rev, 100)
					return err
				}
				for ; !stop.Load(); time.Sleep(50 * time.Microsecond) { // in virtual time a spin would stop the clock
					v, err := t.store.Read(t.ctx, t.root)
					if err != nil {
						return err
					}
					if len(v.KVs) != 2 || !bytes.Equal(v.KVs[0].Value, v.KVs[1].Value) || v.KVs[0].Mod != v.KVs[1].Mod {
						return fmt.Errorf("a Read saw half of a Tx: %s", list(v))
					}
				}
				return nil
			})
			t.must(errors.Join(errs...), "writing two keys together")
		},
	},
	{
		name: "commit/reads",
		why:  "reads of a Tx show the state after its writes, at its moment: that is how a contender learns its place in one round trip",
		test: func(t *trial) {
			old := t.create(t.key("q/old"), "x")
			mine, side := t.key("q/mine"), t.create(t.key("side"), "y")
			res := t.commit(adapters.Tx{
				If:    []adapters.Cond{adapters.Absent(mine)},
				Then:  []adapters.Op{adapters.Put(mine, []byte("m")), adapters.Delete(old.Key)},
				Reads: []string{mine, t.key("q/"), old.Key, side.Key, t.key("none"), t.key("none/")},
			})
			for i, want := range []string{mine, mine, "", side.Key, "", ""} {
				var got []string
				for _, kv := range res.Views[i].KVs {
					got = append(got, kv.Key)
				}
				if strings.Join(got, " ") != want {
					t.failf("read %d of the Tx shows keys %q, want %q", i, got, want)
				}
			}
			kv, _ := res.Views[0].Get(mine)
			if string(kv.Value) != "m" || kv.Mod != res.Rev || kv.Created != res.Rev {
				t.failf("the Tx at Rev %d reads its own write as %s", res.Rev, show(kv))
			}

			only := t.commit(adapters.Tx{If: []adapters.Cond{adapters.Unchanged(mine, kv.Mod)}, Reads: []string{mine}})
			if again, _ := only.Views[0].Get(mine); again.Mod != kv.Mod {
				t.failf("a Tx that only reads shows %s, want Mod %d", show(again), kv.Mod)
			}
			t.commit(adapters.Tx{Reads: []string{mine}})
			t.conflict(adapters.Tx{If: []adapters.Cond{adapters.Absent(mine)}, Reads: []string{mine}})
		},
	},
	{
		name: "commit/delete",
		why:  "a delete removes its key and nothing else, and a key that is not there is no error: cleaning up must be repeatable",
		test: func(t *trial) {
			a, ab, child := t.create(t.key("a"), "1"), t.create(t.key("ab"), "2"), t.create(t.key("a/b"), "3")
			t.delete(t.key("none"))
			t.conflict(adapters.Tx{If: []adapters.Cond{adapters.Unchanged(a.Key, a.Mod-1)}, Then: []adapters.Op{adapters.Delete(a.Key)}})
			t.value(a.Key, "1")
			t.commit(adapters.Tx{If: []adapters.Cond{adapters.Unchanged(a.Key, a.Mod)}, Then: []adapters.Op{adapters.Delete(a.Key)}})
			t.gone(a.Key, "it was deleted")
			t.value(ab.Key, "2")
			t.value(child.Key, "3")
			t.delete(a.Key, ab.Key)
			t.gone(ab.Key, "it was deleted, together with a key that was not there")
			t.value(child.Key, "3")
		},
	},
	{
		name: "commit/values",
		why:  "a value comes back as the bytes that went in, whatever the caller does with its slices afterwards",
		test: func(t *trial) {
			for i, value := range [][]byte{nil, {}, {0}, []byte("\x00\xff\n"), bytes.Repeat([]byte{0xc3}, 4096)} {
				key, sent := t.key("k%d", i), bytes.Clone(value)
				t.commit(adapters.Tx{If: []adapters.Cond{adapters.Absent(key)}, Then: []adapters.Op{adapters.Put(key, sent)}})
				for j := range sent {
					sent[j] = 'x'
				}
				got := t.get(key)
				if !bytes.Equal(got.Value, value) {
					t.failf("put %q, then changed the slice; read %q", value, got.Value)
				}
				for j := range got.Value {
					got.Value[j] = 'y'
				}
				if again := t.get(key); !bytes.Equal(again.Value, value) {
					t.failf("a caller that changed what it had read changed the store: %q became %q", value, again.Value)
				}
			}
		},
	},
	{
		name: "commit/tag",
		why:  "a write with the backend's LockTag carries it, or users of the backend's own lock recipe take the key for something else; a write without one does not",
		test: func(t *trial) {
			tag := t.store.Limits().LockTag
			if tag == 0 {
				return // no such recipe
			}
			lease := t.grant().ID
			lock, plain := t.key("lock"), t.key("plain")
			write := func(cond adapters.Cond, op adapters.Op) {
				t.Helper()
				op.Tag = tag
				t.commit(adapters.Tx{If: []adapters.Cond{cond}, Then: []adapters.Op{op}})
				if kv := t.get(lock); kv.Tag != tag {
					t.failf("%q was written with tag %#x and has %#x", lock, tag, kv.Tag)
				}
			}
			write(adapters.Absent(lock), adapters.PutLeased(lock, []byte("x"), lease))
			write(adapters.HeldBy(lock, lease), adapters.PutKeep(lock, []byte("y")))
			for range 2 { // the recipe's own writes may leave Mod where it is
				mod := t.get(lock).Mod
				write(adapters.HeldBy(lock, lease), adapters.PutKeep(lock, []byte("y")))
				t.lease(lock, lease)
				if now := t.get(lock).Mod; now <= mod {
					t.failf("an equal value left Mod at %d", now)
				}
			}
			write(adapters.HeldBy(lock, lease), adapters.Put(lock, []byte("z")))
			if kv := t.create(plain, "x"); kv.Tag == tag {
				t.failf("%q was written without a tag and has the one of a lock", plain)
			}
		},
	},
}

// writePairs gives a and b, both last written at mod, the same new value n
// times, and returns their last Mod.
func (t *trial) writePairs(a, b string, mod adapters.Rev, n int) (adapters.Rev, error) {
	for i := range n {
		value := fmt.Append(nil, i+1)
		res, err := t.store.Commit(t.ctx, adapters.Tx{
			If:   []adapters.Cond{adapters.Unchanged(a, mod), adapters.Unchanged(b, mod)},
			Then: []adapters.Op{adapters.PutKeep(a, value), adapters.PutKeep(b, value)},
		})
		if err != nil {
			return 0, err
		}
		mod = res.Rev
	}
	return mod, nil
}

// oneWinner requires that one commit succeeded and all others met a conflict.
func (t *trial) oneWinner(errs []error, what string) {
	t.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			t.wantErr(err, adapters.ErrConflict, "%s", what)
		}
	}
	if won != 1 {
		t.failf("%s: %d of %d succeeded, want 1", what, won, len(errs))
	}
}
