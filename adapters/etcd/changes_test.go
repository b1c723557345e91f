// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"maps"
	"slices"
	"testing"

	"github.com/quorate/quorate/adapters"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"pgregory.net/rapid"
)

// TestChangesModel plays random events, gathered into batches of any size,
// against a plain map; the views in between must stay as they were yielded.
func TestChangesModel(t *testing.T) {
	keys := []string{"a", "a/b", "b", "b/", "c"}
	rapid.Check(t, func(t *rapid.T) {
		model := make(map[string]adapters.KV)
		var old, now adapters.View
		rev := int64(1)
		for range rapid.IntRange(1, 8).Draw(t, "batches") {
			gathered := make(changes)
			base := rev
			for range rapid.IntRange(0, 6).Draw(t, "events") {
				rev++
				kv := &mvccpb.KeyValue{Key: []byte(rapid.SampledFrom(keys).Draw(t, "key")), ModRevision: rev, CreateRevision: rev}
				typ := rapid.SampledFrom([]mvccpb.Event_EventType{clientv3.EventTypePut, clientv3.EventTypeDelete}).Draw(t, "type")
				if typ == clientv3.EventTypePut {
					model[string(kv.Key)] = new(Store).fromPB(kv)
				} else {
					delete(model, string(kv.Key))
				}
				gathered.add([]*clientv3.Event{{Type: typ, Kv: kv}}, base)
			}
			gathered.add([]*clientv3.Event{{Type: clientv3.EventTypePut, Kv: &mvccpb.KeyValue{Key: []byte("a"), ModRevision: base}}}, base)
			before := slices.Clone(now.KVs)
			old, now = now, gathered.apply(new(Store), now)
			require.Equal(t, before, old.KVs, "a view that was yielded changed")
			require.Equal(t, slices.Sorted(maps.Keys(model)), keysOf(now))
			for _, kv := range now.KVs {
				require.Equal(t, model[kv.Key], kv)
			}
			require.Equal(t, slices.Equal(modsOf(old), modsOf(now)), same(old, now))
		}
	})
}

func keysOf(v adapters.View) (keys []string) {
	for _, kv := range v.KVs {
		keys = append(keys, kv.Key)
	}
	return keys
}

func modsOf(v adapters.View) (mods []adapters.Rev) {
	for _, kv := range v.KVs {
		mods = append(mods, kv.Mod)
	}
	return mods
}

func TestLeaseID(t *testing.T) {
	for id, want := range map[int64]adapters.LeaseID{0: "", 0x694d9c3f2a1b0c05: "694d9c3f2a1b0c05", -31: "-1f"} {
		require.Equal(t, want, leaseID(id))
		require.Equal(t, id, parseLease(want))
	}
}

// TestWatchError: the reason for which a server refuses a watch is a status
// that was printed.
func TestWatchError(t *testing.T) {
	for text, want := range map[string]bool{
		"rpc error: code = PermissionDenied desc = etcdserver: permission denied":   true,
		"etcdserver: permission denied":                                             true,
		"rpc error: code = Unauthenticated desc = etcdserver: invalid auth token":   true,
		"rpc error: code = PermissionDenied desc = something that we do not know":   false,
		"etcdserver: mvcc: required revision has been compacted, permission denied": false,
	} {
		s := &Store{client: clientv3.NewCtxClient(t.Context())}
		require.Equal(t, want, s.denied(watchError(textError(text))), text)
	}
}

type textError string

func (e textError) Error() string { return string(e) }
