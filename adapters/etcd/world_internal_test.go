// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// A world is an etcd in virtual time: keys, leases, and leaders that know of
// leases what they have seen. One that falls asleep and wakes ends what has run
// out in its eyes.
type world struct {
	mu     sync.Mutex
	rng    *rand.Rand
	rev    int64
	term   uint64
	ids    int64
	keys   map[string]*mvccpb.KeyValue
	leases map[int64]time.Duration               // there are
	knows  map[int64]time.Time                   // when each runs out, says the leader
	asleep []sleeper                             // leaders before it
	woke   *sleeper                              // one who believes that it leads still
	asked  map[int64]time.Time                   // when each was renewed last
	blind  bool                                  // answers do not tell the term
	gone   func(key *mvccpb.KeyValue, by string) // is told of each key that a lease took with it
}

func newWorld(seed uint64) *world {
	return &world{rng: rand.New(rand.NewPCG(seed, 0)), term: 2, keys: map[string]*mvccpb.KeyValue{}, leases: map[int64]time.Duration{}, knows: map[int64]time.Time{}, asked: map[int64]time.Time{}}
}

// A sleeper is a leader that has fallen asleep, and what it knew then.
type sleeper struct {
	term  uint64
	knows map[int64]time.Time
	until time.Time // it has heard of its successor, once awake
}

// store returns a Store on the world.
func (w *world) store(ctx context.Context) *Store {
	client := clientv3.NewCtxClient(ctx)
	return &Store{
		client: client, patience: time.Second / 3, epoch: time.Now(),
		kv: clientv3.NewKVFromKVClient(worldKV{w: w}, client), leases: worldLeases{w: w}, conn: worldConn{w},
	}
}

// lives ends leases that have run out, as the leader sees it.
func (w *world) lives(ctx context.Context) {
	for ctx.Err() == nil {
		w.mu.Lock()
		for id, until := range w.knows {
			if time.Now().After(until) {
				w.end(id, "the leader")
			}
		}
		w.mu.Unlock()
		pause(ctx, 50*time.Millisecond)
	}
}

func (w *world) end(id int64, by string) {
	delete(w.leases, id)
	delete(w.knows, id)
	for name, kv := range w.keys {
		if kv.Lease == id {
			w.rev++
			delete(w.keys, name)
			w.gone(kv, by)
		}
	}
}

// elect has the leader fall asleep, and another one take its place.
func (w *world) elect() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asleep = append(w.asleep, sleeper{term: w.term, knows: w.knows})
	w.term++
	w.knows = map[int64]time.Time{}
	for id, ttl := range w.leases {
		w.knows[id] = time.Now().Add(ttl)
	}
}

// wake has all former leaders wake, who end what has run out in their eyes.
func (w *world) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, old := range w.asleep {
		old.until = time.Now().Add(30 * time.Millisecond)
		w.woke = &old
		for id, until := range old.knows {
			if _, there := w.leases[id]; there && time.Now().After(until) {
				w.end(id, "a leader that woke")
			}
		}
	}
	w.asleep = nil
}

// alive says whether keys are there, all of them.
func (w *world) alive(keys ...string) bool {
	for _, key := range keys {
		if w.keys[key] == nil {
			return false
		}
	}
	return true
}

func (w *world) header() *pb.ResponseHeader {
	h := &pb.ResponseHeader{Revision: w.rev, RaftTerm: w.term}
	if w.blind {
		h.RaftTerm = 2
	}
	return h
}

// call takes f to the world and its answer back, each of which takes its time;
// or nothing comes back, or f arrives although nobody waits for it any more.
func (w *world) call(ctx context.Context, f func()) error {
	w.mu.Lock()
	there, back := w.delay(), w.delay()
	lost := w.rng.IntN(12) == 0
	hangs := w.rng.IntN(8) == 0
	w.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	done := make(chan struct{})
	go func() {
		<-time.After(there)
		w.mu.Lock()
		defer w.mu.Unlock()
		f()
		close(done)
	}()
	if pause(ctx, there) != nil {
		return ctx.Err()
	}
	<-done
	if lost {
		<-ctx.Done()
	}
	if pause(ctx, back) != nil {
		return ctx.Err()
	}
	return nil
}

func (w *world) delay() time.Duration {
	if w.rng.IntN(10) == 0 {
		return time.Duration(w.rng.IntN(400)) * time.Millisecond
	}
	return time.Duration(w.rng.IntN(5000)) * time.Microsecond
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// worldConn renews leases.
type worldConn struct{ w *world }

func (c worldConn) Invoke(ctx context.Context, _ string, args, reply any, _ ...grpc.CallOption) error {
	w, req, resp := c.w, args.(*pb.LeaseKeepAliveRequest), reply.(*pb.LeaseKeepAliveResponse)
	var ttl int64
	var h *pb.ResponseHeader
	err := w.call(ctx, func() {
		h = w.header()
		if old := w.woke; old != nil && time.Now().Before(old.until) && w.rng.IntN(2) == 0 {
			// It answers itself, and nobody else hears of it.
			h.RaftTerm = old.term
			if _, ok := old.knows[req.ID]; ok {
				ttl = int64(w.leases[req.ID] / time.Second)
			}
			return
		}
		w.asked[req.ID] = time.Now()
		if d, ok := w.leases[req.ID]; ok {
			w.knows[req.ID] = time.Now().Add(d)
			ttl = int64(d / time.Second)
		}
	})
	if err == nil {
		resp.Header, resp.ID, resp.TTL = h, req.ID, ttl
	}
	return err
}

func (worldConn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	panic("no streams here")
}

type worldLeases struct {
	pb.LeaseClient
	w *world
}

func (c worldLeases) LeaseGrant(ctx context.Context, in *pb.LeaseGrantRequest, _ ...grpc.CallOption) (*pb.LeaseGrantResponse, error) {
	w := c.w
	var granted *pb.LeaseGrantResponse
	var refused error
	err := w.call(ctx, func() {
		id, ttl := in.ID, time.Duration(in.TTL)*time.Second
		if id == 0 {
			w.ids++
			id = w.ids
		}
		if _, there := w.leases[id]; there {
			refused = rpctypes.ErrGRPCLeaseExist
			return
		}
		w.leases[id], w.knows[id] = ttl, time.Now().Add(ttl)
		granted = &pb.LeaseGrantResponse{Header: w.header(), ID: id, TTL: in.TTL}
	})
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		return nil, refused
	}
	return granted, nil
}

func (c worldLeases) LeaseTimeToLive(ctx context.Context, in *pb.LeaseTimeToLiveRequest, _ ...grpc.CallOption) (*pb.LeaseTimeToLiveResponse, error) {
	w := c.w
	var resp *pb.LeaseTimeToLiveResponse
	err := w.call(ctx, func() {
		resp = &pb.LeaseTimeToLiveResponse{Header: w.header(), ID: in.ID, TTL: -1}
		if _, ok := w.leases[in.ID]; !ok {
			return
		}
		resp.TTL = 1
		for name, kv := range w.keys {
			if kv.Lease == in.ID {
				resp.Keys = append(resp.Keys, []byte(name))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

type worldKV struct {
	pb.KVClient
	w *world
}

func (c worldKV) Txn(ctx context.Context, in *pb.TxnRequest, _ ...grpc.CallOption) (*pb.TxnResponse, error) {
	w := c.w
	var resp *pb.TxnResponse
	var failed error
	err := w.call(ctx, func() { resp, failed = w.txn(in) })
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (w *world) txn(in *pb.TxnRequest) (*pb.TxnResponse, error) {
	for _, c := range in.Compare {
		kv := w.keys[string(c.Key)]
		if kv == nil {
			kv = &mvccpb.KeyValue{}
		}
		same := false
		switch c.Target {
		case pb.Compare_CREATE:
			same = kv.CreateRevision == c.GetCreateRevision()
		case pb.Compare_MOD:
			same = kv.ModRevision == c.GetModRevision()
		case pb.Compare_LEASE:
			same = kv.Lease == c.GetLease()
		}
		if !same {
			return &pb.TxnResponse{Header: w.header()}, nil
		}
	}
	resp := &pb.TxnResponse{Succeeded: true}
	wrote := false
	for _, op := range in.Success {
		if put := op.GetRequestPut(); put != nil && put.Lease != 0 {
			if _, ok := w.leases[put.Lease]; !ok {
				return nil, rpctypes.ErrGRPCLeaseNotFound
			}
		}
	}
	for _, op := range in.Success {
		switch {
		case op.GetRequestPut() != nil:
			put := op.GetRequestPut()
			if !wrote {
				w.rev++
				wrote = true
			}
			kv := w.keys[string(put.Key)]
			if kv == nil {
				kv = &mvccpb.KeyValue{Key: put.Key, CreateRevision: w.rev}
			}
			next := &mvccpb.KeyValue{Key: put.Key, Value: bytes.Clone(put.Value), CreateRevision: kv.CreateRevision, ModRevision: w.rev, Version: kv.Version + 1, Lease: put.Lease}
			if put.IgnoreValue {
				next.Value = kv.Value
			}
			if put.IgnoreLease {
				next.Lease = kv.Lease
			}
			w.keys[string(put.Key)] = next
			resp.Responses = append(resp.Responses, &pb.ResponseOp{Response: &pb.ResponseOp_ResponsePut{ResponsePut: &pb.PutResponse{}}})
		case op.GetRequestRange() != nil:
			got := &pb.RangeResponse{}
			if kv := w.keys[string(op.GetRequestRange().Key)]; kv != nil {
				got.Kvs = []*mvccpb.KeyValue{kv}
			}
			resp.Responses = append(resp.Responses, &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: got}})
		}
	}
	resp.Header = w.header()
	return resp, nil
}
