// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"time"

	"github.com/quorate/quorate/adapters"
)

var expiryRules = []rule{
	{
		name: "expiry/at-once",
		why:  "when a lease ends all its keys vanish in one step and nothing else does: half a holder is neither alive nor dead",
		slow: true,
		test: func(t *trial) {
			stays := t.createLeased(t.key("other"), "x", t.grant().ID)
			f := t.mortal()
			for _, k := range []string{"d/a", "d/b", "d/c", "kept", "off"} {
				t.createLeased(t.key("%s", k), "0", f.lease.ID)
			}
			t.update(t.key("kept"), "1")
			t.commit(adapters.Tx{
				If:   []adapters.Cond{adapters.HeldBy(t.key("off"), f.lease.ID)},
				Then: []adapters.Op{adapters.Put(t.key("off"), []byte("1"))},
			})
			whole := func(v adapters.View) bool { // false when the lease's keys are gone
				n := 0
				for _, kv := range v.KVs {
					if kv.Lease == f.lease.ID {
						n++
					}
				}
				if n != 0 && n != 4 {
					t.failf("of the lease's 4 keys %d are there: %s", n, list(v))
				}
				return n != 0
			}
			w := t.watch(t.root)
			t.dies(f, func() bool { return whole(t.read(t.root)) })
			w.until("the end of the lease", func(v adapters.View) bool { return !whole(v) })
			t.value(t.key("off"), "1")
			t.value(stays.Key, "x")
		},
	},
	{
		name: "expiry/in-time",
		why:  "a lease ends no sooner than its TTL after its last renewal, or two hold one place, and no later than Limits says, or nobody does",
		slow: true,
		test: func(t *trial) {
			f := t.mortal()
			key := t.createLeased(t.key("k"), "x", f.lease.ID).Key
			t.dies(f, func() bool { _, ok := t.read(key).Get(key); return ok })
		},
	},
	{
		name: "expiry/renewed",
		why:  "Renew starts the TTL anew: a session that renews in time keeps its places",
		slow: true,
		test: func(t *trial) {
			f := t.mortal()
			key := t.createLeased(t.key("k"), "x", f.lease.ID).Key
			begun := f.sent
			for time.Since(begun) < t.store.Limits().Latest(f.lease.TTL)+f.lease.TTL/2 {
				t.sleep(f.lease.TTL / 4)
				since := f.sent
				f.sent = time.Now()
				ttl, err := t.store.Renew(t.ctx, f.lease.ID)
				t.must(err, "Renew, %v after the last one was sent, of a lease with TTL %v", time.Since(since), f.lease.TTL)
				f.acked, f.lease.TTL = time.Now(), ttl
				t.value(key, "x")
			}
			t.dies(f, func() bool { _, ok := t.read(key).Get(key); return ok })
		},
	},
	{
		name: "expiry/dead",
		why:  "an expired lease stays dead: Renew and PutLeased say ErrLeaseLost, so that a session learns that it has nothing left",
		slow: true,
		test: func(t *trial) {
			f := t.mortal()
			key := t.createLeased(t.key("k"), "x", f.lease.ID).Key
			t.dies(f, func() bool { _, ok := t.read(key).Get(key); return ok })
			t.dead(f.lease.ID)
		},
	},
	{
		name: "expiry/watch",
		why:  "a watch shows the end of a lease as it shows a delete: whoever waits for a dead holder waits on its key",
		slow: true,
		test: func(t *trial) {
			f := t.mortal()
			key := t.createLeased(t.key("d/k"), "x", f.lease.ID).Key
			exact, subtree := t.watch(key), t.watch(t.key("d/"))
			exact.untilValue(key, "x")
			subtree.untilValue(key, "x")
			t.dies(f, func() bool {
				_, more := exact.poll(f.lease.TTL / 50)
				return !more || len(exact.last.KVs) > 0
			})
			subtree.untilValue(key, "")
		},
	},
}

// mortal is a lease that is going to end.
type mortal struct {
	lease       adapters.Lease
	sent, acked time.Time // of the grant or the last renewal
}

func (t *trial) mortal() mortal {
	t.Helper()
	f := mortal{sent: time.Now()}
	f.lease = t.grantFor(t.ttl)
	f.acked = time.Now()
	return f
}

// dies follows a lease to its end and requires that it comes in time. The
// bounds are sound on a slow machine: the end that was noticed at a moment
// came before it, and the backend got the last renewal after it was sent.
func (t *trial) dies(f mortal, alive func() bool) {
	t.Helper()
	latest := t.store.Limits().Latest(f.lease.TTL)
	for {
		asked := time.Now()
		lives := alive()
		noticed := time.Now()
		switch {
		case !lives && noticed.Sub(f.sent) < f.lease.TTL:
			t.failf("the lease had ended %v after its last renewal was sent, its TTL is %v", noticed.Sub(f.sent), f.lease.TTL)
		case !lives:
			return
		case asked.Sub(f.acked) > latest+slack:
			t.failf("the lease still lives %v after its last renewal was answered, Limits say %v at most", asked.Sub(f.acked), latest)
		}
		t.sleep(f.lease.TTL / 50)
	}
}
