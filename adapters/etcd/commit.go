// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorate/quorate/adapters"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Commit applies tx in one etcd transaction, which is one call, sent once.
func (s *Store) Commit(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	if err := tx.Validate(limits); err != nil {
		return adapters.Result{}, fmt.Errorf("etcd: commit: %w", err)
	}
	if err := s.ready(ctx); err != nil {
		return adapters.Result{}, fmt.Errorf("etcd: commit: %w", err)
	}
	res, err := s.commit(ctx, tx)
	if err != nil {
		return adapters.Result{}, fmt.Errorf("etcd: commit%s: %w", subject(tx), err)
	}
	return res, nil
}

// commit tries tx again that failed because keys moved from one lease to another
// meanwhile: nothing was written.
func (s *Store) commit(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	for {
		if _, err := s.arrived(ctx, tx); err != nil {
			return adapters.Result{}, s.explain(ctx, err, false, toCommit(tx))
		}
		steps := s.grants.steps.Load()
		res, err := s.try(ctx, tx)
		if !errors.Is(err, adapters.ErrConflict) {
			return res, err
		}
		some, merr := s.arrived(ctx, tx)
		if merr != nil {
			return adapters.Result{}, s.explain(ctx, merr, false, toCommit(tx))
		}
		if !some && s.grants.steps.Load() == steps {
			return res, err
		}
	}
}

func (s *Store) try(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	conds := make([]clientv3.Cmp, 0, len(tx.If))
	for _, c := range tx.If {
		cmp, ok := s.compare(c)
		if !ok {
			return adapters.Result{}, adapters.ErrConflict
		}
		conds = append(conds, cmp)
	}
	// Reads come last, so that they show the state after the writes.
	ops := make([]clientv3.Op, 0, len(tx.Then)+len(tx.Reads))
	for _, op := range tx.Then {
		switch op.Kind {
		case adapters.OpPut:
			ops = append(ops, clientv3.OpPut(op.Key, string(op.Value)))
		case adapters.OpPutKeep:
			ops = append(ops, clientv3.OpPut(op.Key, string(op.Value), clientv3.WithIgnoreLease()))
		case adapters.OpPutLeased:
			id := s.grants.actual(parseLease(op.Lease))
			if id == 0 {
				return adapters.Result{}, adapters.ErrLeaseLost
			}
			ops = append(ops, clientv3.OpPut(op.Key, string(op.Value), clientv3.WithLease(clientv3.LeaseID(id))))
		case adapters.OpDelete:
			ops = append(ops, clientv3.OpDelete(op.Key))
		}
	}
	for _, name := range tx.Reads {
		ops = append(ops, clientv3.OpGet(name, span(name)...))
	}

	resp, err := s.kv.Txn(ctx).If(conds...).Then(ops...).Commit()
	if err != nil {
		return adapters.Result{}, s.explain(ctx, err, len(tx.Then) > 0, toCommit(tx))
	}
	s.note(resp.Header)
	if !resp.Succeeded {
		return adapters.Result{}, adapters.ErrConflict
	}
	s.hung.add(tx)
	rev := resp.Header.GetRevision()
	res := adapters.Result{Rev: adapters.Rev(rev)}
	for _, r := range resp.Responses[len(tx.Then):] {
		res.Views = append(res.Views, s.view(rev, r.GetResponseRange().GetKvs()))
	}
	return res, nil
}

// compare returns false for a condition that cannot hold on etcd.
func (s *Store) compare(c adapters.Cond) (clientv3.Cmp, bool) {
	switch c.Kind {
	case adapters.CondAbsent:
		return clientv3.Compare(clientv3.CreateRevision(c.Key), "=", 0), true
	case adapters.CondUnchanged:
		// An absent key compares as revision 0 and lease 0, which no key that
		// exists has in this condition or the next.
		return clientv3.Compare(clientv3.ModRevision(c.Key), "=", s.grants.mod(c.Key, int64(c.Mod))), c.Mod != 0
	default:
		id := s.grants.actual(parseLease(c.Lease))
		return clientv3.Compare(clientv3.LeaseValue(c.Key), "=", id), id != 0
	}
}

// subject names a transaction by the first key that it touches.
func subject(tx adapters.Tx) string {
	switch {
	case len(tx.Then) > 0:
		return fmt.Sprintf(" %q", tx.Then[0].Key)
	case len(tx.If) > 0:
		return fmt.Sprintf(" %q", tx.If[0].Key)
	}
	return fmt.Sprintf(" %q", tx.Reads[0])
}

// onceKV sends a transaction once, and keeps what grpc says of a call that ended
// with its context.
//
// The etcd client does not repeat writes that may have been sent, with one
// exception: when the answer's code is Canceled or DeadlineExceeded while the
// caller's context is alive, it takes this for the end of a shorter context of
// its own and tries again. Such answers exist (a proxy with a deadline of its
// own, a handler that was cut off), and the transaction behind them may have
// been applied. The repeat would then fail on its own conditions and turn a
// success into an ErrConflict. Ending the context stops the loop. What the
// client repeats beside that is safe: there the server refused before it
// proposed anything (an old auth token, a learner).
type onceKV struct{ pb.KVClient }

func (o onceKV) Txn(ctx context.Context, in *pb.TxnRequest, opts ...grpc.CallOption) (*pb.TxnResponse, error) {
	once, stop, opt := sendOnce(ctx)
	defer stop()
	resp, err := o.KVClient.Txn(once, in, append(opts, opt)...)
	return resp, late(ctx, err)
}

func (o onceKV) Range(ctx context.Context, in *pb.RangeRequest, opts ...grpc.CallOption) (*pb.RangeResponse, error) {
	resp, err := o.KVClient.Range(ctx, in, opts...)
	return resp, late(ctx, err)
}

// sendOnce returns a context and an option for a call that the client shall not
// repeat after an answer that it takes for the end of that context.
func sendOnce(ctx context.Context) (context.Context, context.CancelFunc, grpc.CallOption) {
	ctx, cancel := context.WithCancel(ctx)
	return ctx, cancel, grpc.OnFinish(func(err error) {
		if code := status.Code(err); code == codes.Canceled || code == codes.DeadlineExceeded {
			cancel()
		}
	})
}
