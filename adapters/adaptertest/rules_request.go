// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/quorate/quorate/adapters"
)

var requestRules = []rule{
	{
		name: "request/invalid",
		why:  "what breaks a rule or a limit is refused with ErrInvalid before any call: the caller then knows that nothing happened",
		test: func(t *trial) {
			l := t.store.Limits()
			lease := t.grant().ID
			kv := t.create(t.key("k"), "x")
			none := t.key("none")
			absent, changed := adapters.Absent(none), adapters.Unchanged(kv.Key, kv.Mod)
			if t.calls == nil {
				t.calls = func() int { return 0 }
			}

			txs := map[string]adapters.Tx{
				"empty Tx":                 {},
				"write of an empty key":    {If: []adapters.Cond{adapters.Absent("")}, Then: []adapters.Op{adapters.Put("", nil)}},
				"delete of a subtree":      {Then: []adapters.Op{adapters.Delete(t.root)}},
				"write of a subtree":       {If: []adapters.Cond{adapters.Absent(t.root)}, Then: []adapters.Op{adapters.Put(t.root, nil)}},
				"condition on a subtree":   {If: []adapters.Cond{adapters.Absent(t.root)}},
				"condition without kind":   {If: []adapters.Cond{{Key: none}}},
				"condition on no lease":    {If: []adapters.Cond{adapters.HeldBy(kv.Key, "")}},
				"write without kind":       {If: []adapters.Cond{absent}, Then: []adapters.Op{{Key: none}}},
				"put without condition":    {Then: []adapters.Op{adapters.Put(none, nil)}},
				"put with a wrong one":     {If: []adapters.Cond{changed}, Then: []adapters.Op{adapters.Put(kv.Key, nil)}},
				"put with one elsewhere":   {If: []adapters.Cond{changed}, Then: []adapters.Op{adapters.Put(none, nil)}},
				"leased put without one":   {Then: []adapters.Op{adapters.PutLeased(none, nil, lease)}},
				"leased put on no lease":   {If: []adapters.Cond{absent}, Then: []adapters.Op{adapters.PutLeased(none, nil, "")}},
				"keeping put without one":  {Then: []adapters.Op{adapters.PutKeep(kv.Key, nil)}},
				"keeping put of no key":    {If: []adapters.Cond{absent}, Then: []adapters.Op{adapters.PutKeep(none, nil)}},
				"key written twice":        {If: []adapters.Cond{changed}, Then: []adapters.Op{adapters.PutKeep(kv.Key, nil), adapters.Delete(kv.Key)}},
				"read of an empty name":    {Reads: []string{""}},
				"read of the whole store":  {Reads: []string{"/"}},
				"valid write, wrong reads": {If: []adapters.Cond{absent}, Then: []adapters.Op{adapters.Put(none, nil)}, Reads: []string{""}},
			}
			tagged := adapters.Put(none, nil)
			tagged.Tag = l.LockTag + 1
			txs["write with a tag of nobody's"] = adapters.Tx{If: []adapters.Cond{absent}, Then: []adapters.Op{tagged}}
			if l.MaxOps > 0 {
				txs["too many operations"] = manyOps(t, l.MaxOps+1)
			}
			if l.MaxValue > 0 {
				big := bytes.Repeat([]byte{'x'}, l.MaxValue+1)
				txs["too large a value"] = adapters.Tx{If: []adapters.Cond{absent}, Then: []adapters.Op{adapters.Put(none, big)}}
			}
			if l.MaxTx > 0 {
				tx := adapters.Tx{If: []adapters.Cond{changed}}
				for i := range 16 {
					key := t.key("big/%d", i)
					tx.If = append(tx.If, adapters.Absent(key))
					tx.Then = append(tx.Then, adapters.Put(key, make([]byte, l.MaxTx/16)))
				}
				txs["too large in all"] = tx
			}
			names := map[string]string{"empty name": "", "the whole store": "/", "two slashes at the end": t.root + "/"}
			if l.MaxKey > 0 {
				long := t.root + strings.Repeat("k", l.MaxKey+1-len(t.root))
				txs["write of too long a key"] = adapters.Tx{If: []adapters.Cond{adapters.Absent(long)}, Then: []adapters.Op{adapters.Put(long, nil)}}
				names["too long a name"] = long
			}
			before := t.calls()
			free := func(what string) {
				t.Helper()
				if n := t.calls() - before; n != 0 {
					t.failf("%s cost %d calls", what, n)
				}
			}
			for what, tx := range txs {
				_, err := t.store.Commit(t.ctx, tx)
				t.wantErr(err, adapters.ErrInvalid, "%s", what)
				free(what)
			}
			for what, name := range names {
				_, err := t.store.Read(t.ctx, name)
				t.wantErr(err, adapters.ErrInvalid, "Read of %s", what)
				n := 0
				for _, err := range t.store.Watch(t.ctx, name) {
					t.wantErr(err, adapters.ErrInvalid, "Watch of %s", what)
					if n++; n > 1 {
						t.failf("Watch of %s went on after its error", what)
					}
				}
				if n == 0 {
					t.failf("Watch of %s ended without an error", what)
				}
				free(what)
			}
			t.scope(t.root, kv.Key)
			if now := t.get(kv.Key); now.Mod != kv.Mod {
				t.failf("an invalid Tx was applied: %s", show(now))
			}
		},
	},
	{
		name: "request/context-over",
		why:  "a call whose context is over returns the context's cause at once and does nothing: whoever gave up must not act any more",
		test: func(t *trial) {
			lease := t.grant().ID
			kept := t.createLeased(t.key("kept"), "x", lease)
			none := t.key("none")
			ctx, cancel := context.WithCancelCause(t.ctx)
			cancel(errStop)
			for what, call := range map[string]func() error{
				"Read":   func() error { _, err := t.store.Read(ctx, t.root); return err },
				"Commit": func() error { _, err := t.store.Commit(ctx, leased(none, "x", lease)); return err },
				"Grant":  func() error { _, err := t.store.Grant(ctx, t.ttl); return err },
				"Renew":  func() error { _, err := t.store.Renew(ctx, lease); return err },
				"Revoke": func() error { return t.store.Revoke(ctx, lease) },
			} {
				done := make(chan error, 1)
				go func() { done <- call() }()
				select {
				case err := <-done:
					t.wantErr(err, errStop, "%s, its context over", what)
				case <-time.After(prompt):
					t.failf("%s, its context over, did not return within %v", what, prompt)
				}
			}
			t.sleep(100 * time.Millisecond) // for what was sent nevertheless
			t.gone(none, "the context of its Commit was over before")
			t.lease(kept.Key, lease)
			t.renew(lease)
		},
	},
}
