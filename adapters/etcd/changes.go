// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"maps"
	"slices"

	"github.com/quorate/quorate/adapters"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// changes is the last event of each key in some events that followed each
// other. The steps between are what a Watch may leave out.
type changes map[string]*clientv3.Event

// add takes events in, but for those that a state of revision base includes.
func (c changes) add(events []*clientv3.Event, base int64) {
	for _, ev := range events {
		if ev.Kv.ModRevision > base {
			c[string(ev.Kv.Key)] = ev
		}
	}
}

// apply makes a new view of old and the changes after it, in one pass over both.
func (c changes) apply(s *Store, old adapters.View) adapters.View {
	next := adapters.View{Rev: old.Rev, KVs: make([]adapters.KV, 0, len(old.KVs)+len(c))}
	rest := old.KVs
	for _, key := range slices.Sorted(maps.Keys(c)) {
		ev := c[key]
		next.Rev = max(next.Rev, adapters.Rev(ev.Kv.ModRevision))
		for len(rest) > 0 && rest[0].Key < key {
			next.KVs, rest = append(next.KVs, rest[0]), rest[1:]
		}
		if len(rest) > 0 && rest[0].Key == key {
			rest = rest[1:]
		}
		if ev.Type == clientv3.EventTypePut {
			next.KVs = append(next.KVs, s.fromPB(ev.Kv))
		}
	}
	next.KVs = append(next.KVs, rest...)
	return next
}

// same compares states. Every write moves Mod, so key and Mod tell all.
func same(a, b adapters.View) bool {
	return slices.EqualFunc(a.KVs, b.KVs, func(x, y adapters.KV) bool { return x.Key == y.Key && x.Mod == y.Mod })
}
