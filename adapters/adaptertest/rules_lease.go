// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"time"

	"github.com/quorate/quorate/adapters"
)

var leaseRules = []rule{
	{
		name: "lease/grant",
		why:  "a lease is granted for at least the TTL asked for, under an id of its own: a session counts on the granted TTL",
		test: func(t *trial) {
			ids := make(map[adapters.LeaseID]bool)
			for i := range 3 {
				ask := t.ttl + time.Duration(i)*t.ttl*3/10 // not a whole number of anything
				l := t.grantFor(ask)
				if l.ID == "" || ids[l.ID] {
					t.failf("lease id %q is empty or was given before", l.ID)
				}
				ids[l.ID] = true
				if l.TTL < ask {
					t.failf("asked for %v, granted %v", ask, l.TTL)
				}
				ttl, err := t.store.Renew(t.ctx, l.ID)
				t.must(err, "Renew")
				if ttl < ask {
					t.failf("asked for %v, renewed for %v", ask, ttl)
				}
				kv := t.createLeased(t.key("k%d", i), "x", l.ID)
				t.lease(kv.Key, l.ID)
			}
		},
	},
	{
		name: "lease/put-keep",
		why:  "PutKeep leaves a key where it hangs: a holder that updates its metadata must not make its key immortal, nor leased if it was not",
		test: func(t *trial) {
			l := t.grant().ID
			held, free := t.createLeased(t.key("held"), "0", l), t.create(t.key("free"), "0")
			t.update(held.Key, "1")
			t.commit(adapters.Tx{If: []adapters.Cond{adapters.HeldBy(held.Key, l)}, Then: []adapters.Op{adapters.PutKeep(held.Key, []byte("2"))}})
			t.update(free.Key, "1")
			t.lease(held.Key, l)
			t.lease(free.Key, "")
			t.revoke(l)
			t.gone(held.Key, "its lease was revoked")
			t.value(free.Key, "1")
		},
	},
	{
		name: "lease/put-off",
		why:  "Put takes a key off its lease: what is made durable must outlive the process that did it",
		test: func(t *trial) {
			l, other := t.grant().ID, t.grant().ID
			kv := t.createLeased(t.key("k"), "0", l)
			off := func(id adapters.LeaseID) adapters.Tx {
				return adapters.Tx{If: []adapters.Cond{adapters.HeldBy(kv.Key, id)}, Then: []adapters.Op{adapters.Put(kv.Key, []byte("1"))}}
			}
			t.conflict(off(other))
			t.lease(kv.Key, l)
			t.commit(off(l))
			t.lease(kv.Key, "")
			t.conflict(off(l))
			t.revoke(l)
			t.value(kv.Key, "1")
		},
	},
	{
		name: "lease/move",
		why:  "PutLeased moves a key from the lease that it hangs on to another, and only from there: a transfer must not be undone by the end of the giver's lease",
		test: func(t *trial) {
			giver, taker, other := t.grant().ID, t.grant().ID, t.grant().ID
			kv := t.createLeased(t.key("slot"), "0", giver)
			move := func(from, to adapters.LeaseID) adapters.Tx {
				return adapters.Tx{If: []adapters.Cond{adapters.HeldBy(kv.Key, from)}, Then: []adapters.Op{adapters.PutLeased(kv.Key, []byte("1"), to)}}
			}
			t.conflict(move(other, taker))
			t.lease(kv.Key, giver)
			t.commit(move(giver, taker))
			t.lease(kv.Key, taker)
			t.conflict(move(giver, other))
			t.revoke(giver)
			t.value(kv.Key, "1")
			t.revoke(other)
			t.value(kv.Key, "1")
			t.revoke(taker)
			t.gone(kv.Key, "the lease that it was moved to was revoked")
		},
	},
	{
		name: "lease/revoke",
		why:  "Revoke deletes the lease's keys, all of them and no others, before it returns; a second one is no error, since the first answer may have been lost",
		test: func(t *trial) {
			l, other := t.grant().ID, t.grant().ID
			for _, k := range []string{"a", "b", "c/d"} {
				t.createLeased(t.key("own/%s", k), "x", l)
				t.createLeased(t.key("other/%s", k), "x", other)
			}
			t.revoke(l)
			if v := t.read(t.key("own/")); len(v.KVs) != 0 {
				t.failf("after Revoke its lease left %s", list(v))
			}
			if v := t.read(t.key("other/")); len(v.KVs) != 3 {
				t.failf("Revoke of one lease left of the other's three keys %s", list(v))
			}
			t.revoke(l)
			t.renew(other)
		},
	},
	{
		name: "lease/revoked",
		why:  "a revoked lease stays dead: Renew and PutLeased say ErrLeaseLost, so that a session learns that it has nothing left",
		test: func(t *trial) {
			l := t.grant().ID
			t.createLeased(t.key("k"), "x", l)
			t.revoke(l)
			t.dead(l)
		},
	},
}

// dead requires that nothing can be done with a lease that has ended.
func (t *trial) dead(id adapters.LeaseID) {
	t.Helper()
	_, err := t.store.Renew(t.ctx, id)
	t.wantErr(err, adapters.ErrLeaseLost, "Renew of a lease that has ended")
	key := t.key("dead")
	_, err = t.store.Commit(t.ctx, leased(key, "x", id))
	t.wantErr(err, adapters.ErrLeaseLost, "PutLeased on a lease that has ended")
	t.gone(key, "it was put on a lease that had ended")
	_, err = t.store.Renew(t.ctx, id)
	t.wantErr(err, adapters.ErrLeaseLost, "Renew of a lease that has ended, again")
	t.revoke(id)
}
