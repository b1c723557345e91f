// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
)

// answer is what a read of one name gave.
type answer struct {
	view adapters.View
	err  error
}

// readOps are the operations that read name. Consul leaves out of the results
// what the token may not read, so that a subtree that is not to be seen looks
// like an empty one: to somebody who queues, as if he were the first. Behind
// each subtree stands therefore a question with exactly one result, about a key
// in it that nobody has.
func readOps(name string) api.TxnOps {
	key := stored(name)
	if !isDir(name) {
		return api.TxnOps{{KV: &api.KVTxnOp{Verb: api.KVGetOrEmpty, Key: key}}}
	}
	return api.TxnOps{
		{KV: &api.KVTxnOp{Verb: api.KVGetTree, Key: key}},
		{KV: &api.KVTxnOp{Verb: api.KVGetOrEmpty, Key: fence(name)}},
	}
}

// fence is no key of ours: Consul's KV endpoint cleans the path of it away, and
// checkName refuses it. Older servers let everybody make it.
func fence(dir string) string { return stored(dir) + "/" }

// readResults reads the answers to readOps of names, in their order.
func readResults(results api.TxnResults, names []string) []answer {
	answers := make([]answer, len(names))
	next := func() *api.KVPair {
		if len(results) == 0 || results[0].KV == nil {
			return nil
		}
		return results[0].KV
	}
	for i, name := range names {
		end := stored(name)
		if isDir(name) {
			end = fence(name)
		}
		fenced := false // somebody made the fence a key, so the tree has it too
		for kv := next(); isDir(name) && kv != nil && strings.HasPrefix(kv.Key, stored(name)); kv = next() {
			if kv.Key == end && (kv.CreateIndex == 0 || fenced) {
				break
			}
			fenced = fenced || kv.Key == end
			answers[i].view.KVs = append(answers[i].view.KVs, fromPair(kv))
			results = results[1:]
		}
		kv := next()
		if kv == nil || kv.Key != end {
			answers[i] = answer{err: fmt.Errorf("%w: the token lacks the right to read it (key_prefix %q, policy \"read\")", adapters.ErrDenied, stored(name))}
			continue
		}
		if !isDir(name) && kv.CreateIndex != 0 {
			answers[i].view.KVs = append(answers[i].view.KVs, fromPair(kv))
		}
		results = results[1:]
		answers[i].view = tidy(name, answers[i].view)
	}
	return answers
}

// viewOf makes a view of what the KV endpoint answered.
func viewOf(name string, pairs api.KVPairs) adapters.View {
	var v adapters.View
	for _, kv := range pairs {
		v.KVs = append(v.KVs, fromPair(kv))
	}
	return tidy(name, v)
}

// tidy sorts a view by the names of its keys, and leaves the folders out that
// Consul's own interface makes: keys that end in a slash.
func tidy(name string, v adapters.View) adapters.View {
	v.KVs = slices.DeleteFunc(v.KVs, func(kv adapters.KV) bool { return strings.HasSuffix(kv.Key, "/") })
	slices.SortFunc(v.KVs, func(a, b adapters.KV) int { return cmp.Compare(a.Key, b.Key) })
	return v
}

func fromPair(p *api.KVPair) adapters.KV {
	return adapters.KV{
		Key:     named(p.Key),
		Value:   p.Value,
		Created: adapters.Rev(p.CreateIndex),
		Mod:     adapters.Rev(p.ModifyIndex),
		Lease:   adapters.LeaseID(p.Session),
		Tag:     p.Flags,
	}
}

// same compares states. Every write moves Mod, so key and Mod tell all.
func same(a, b adapters.View) bool {
	return slices.EqualFunc(a.KVs, b.KVs, func(x, y adapters.KV) bool { return x.Key == y.Key && x.Mod == y.Mod })
}
