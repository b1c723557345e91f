// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"strconv"

	"github.com/quorate/quorate/adapters"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// view makes a view of what a range returned, which is sorted by key.
func (s *Store) view(rev int64, kvs []*mvccpb.KeyValue) adapters.View {
	v := adapters.View{Rev: adapters.Rev(rev)}
	if len(kvs) > 0 {
		v.KVs = make([]adapters.KV, len(kvs))
	}
	for i, kv := range kvs {
		v.KVs[i] = s.fromPB(kv)
	}
	return v
}

func (s *Store) fromPB(kv *mvccpb.KeyValue) adapters.KV {
	return adapters.KV{
		Key:     string(kv.Key),
		Value:   kv.Value,
		Created: adapters.Rev(kv.CreateRevision),
		Mod:     adapters.Rev(kv.ModRevision),
		Lease:   leaseID(s.grants.known(kv.Lease)),
	}
}

// leaseID prints a lease as etcdctl and package concurrency do, so that it can
// be compared with what they show.
func leaseID(id int64) adapters.LeaseID {
	if id == 0 {
		return ""
	}
	return adapters.LeaseID(strconv.FormatInt(id, 16))
}

// parseLease returns 0 for what leaseID cannot have printed. Such a lease does
// not exist, and is treated as one that has ended.
func parseLease(id adapters.LeaseID) int64 {
	n, err := strconv.ParseInt(string(id), 16, 64)
	if err != nil || leaseID(n) != id {
		return 0
	}
	return n
}
