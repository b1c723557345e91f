// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/quorate/quorate/adapters"
)

// space is the keys, with an index from every name that ends in a slash to the
// keys beneath it. Writes then cost the depth of a key, whatever else is
// stored; the sort is left to those who read a subtree and copy it anyway.
type space struct {
	keys  map[string]adapters.KV
	under map[string]map[string]struct{}
}

func newSpace() space {
	return space{keys: make(map[string]adapters.KV), under: make(map[string]map[string]struct{})}
}

func (s space) put(kv adapters.KV) {
	s.keys[kv.Key] = kv
	for dir := range dirs(kv.Key) {
		if s.under[dir] == nil {
			s.under[dir] = make(map[string]struct{})
		}
		s.under[dir][kv.Key] = struct{}{}
	}
}

func (s space) remove(key string) {
	delete(s.keys, key)
	for dir := range dirs(key) {
		delete(s.under[dir], key)
		if len(s.under[dir]) == 0 {
			delete(s.under, dir)
		}
	}
}

// view copies what name shows, values included: a stored value never changes,
// but nothing stops a caller from changing what was handed out.
func (s space) view(name string) []adapters.KV {
	if !strings.HasSuffix(name, "/") {
		kv, ok := s.keys[name]
		if !ok {
			return nil
		}
		kv.Value = bytes.Clone(kv.Value)
		return []adapters.KV{kv}
	}
	keys := slices.Sorted(maps.Keys(s.under[name]))
	kvs := make([]adapters.KV, len(keys))
	for i, key := range keys {
		kvs[i] = s.keys[key]
		kvs[i].Value = bytes.Clone(kvs[i].Value)
	}
	return kvs
}

// dirs yields the names of the subtrees that key is in.
func dirs(key string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(key) {
			if key[i] == '/' && !yield(key[:i+1]) {
				return
			}
		}
	}
}
