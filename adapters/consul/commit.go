// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
)

// Commit applies tx in one Consul transaction, which is one request, sent once.
func (s *Store) Commit(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	if err := checkTx(tx, s.limits); err != nil {
		return adapters.Result{}, fmt.Errorf("consul: commit: %w", err)
	}
	res, err := s.commit(ctx, tx)
	if err != nil {
		return adapters.Result{}, fmt.Errorf("consul: commit%s: %w", subject(tx), err)
	}
	return res, nil
}

func (s *Store) commit(ctx context.Context, tx adapters.Tx) (adapters.Result, error) {
	req := newRequest(tx)
	if len(req.ops) > maxOps {
		return adapters.Result{}, fmt.Errorf("%w: takes %d operations of Consul, limit %d", adapters.ErrInvalid, len(req.ops), maxOps)
	}
	var resp *api.TxnResponse
	err := s.once(ctx, len(tx.Then) > 0, func(ctx context.Context, c *api.Client) error {
		var err error
		resp, err = send(ctx, c, req.ops, len(tx.Then) > 0)
		if err == nil && len(resp.Errors) > 0 {
			err = rollback(resp.Errors, req.ops)
		}
		return err
	})
	if err != nil {
		return adapters.Result{}, err
	}
	res, err := req.result(resp.Results, tx.Reads)
	if err != nil && len(tx.Then) > 0 { // it is done, but the caller is not to know it as such
		err = fmt.Errorf("%w: %w", adapters.ErrUnknown, err)
	}
	return res, err
}

// send makes the request. The method that api has for it hides the status of
// an error, which a write needs; a transaction that only reads needs that
// method, to say that it wants the leader's word.
func send(ctx context.Context, c *api.Client, ops api.TxnOps, writes bool) (*api.TxnResponse, error) {
	if !writes {
		_, resp, _, err := c.Txn().Txn(ops, consistent(ctx))
		return resp, err
	}
	resp := new(api.TxnResponse)
	_, err := c.Raw().Write("/v1/txn", ops, resp, new(api.WriteOptions).WithContext(ctx))
	var status api.StatusError
	if errors.As(err, &status) && status.Code == http.StatusConflict {
		resp = new(api.TxnResponse)
		if err := json.Unmarshal([]byte(status.Body), resp); err != nil {
			return nil, fmt.Errorf("answer to a transaction: %w", err)
		}
		if len(resp.Errors) == 0 { // a server gives a reason
			return nil, fmt.Errorf("answer to a transaction: %w", err)
		}
		return resp, nil
	}
	return resp, err
}

// A request is a Tx in Consul's terms: conditions, then writes, then reads,
// each of which sees what stands before it.
type request struct {
	ops   api.TxnOps
	reads int // where the reads begin among the ops
}

func newRequest(tx adapters.Tx) *request {
	r := &request{}
	done := make(map[adapters.Cond]bool) // by a write that checks by itself
	for _, op := range tx.Then {
		if c, ok := leaves(tx, op); ok {
			done[c] = true
		}
	}
	for _, c := range tx.If {
		if !done[c] {
			r.condition(c)
		}
	}
	for _, op := range tx.Then {
		from, _ := leaves(tx, op)
		r.write(op, string(from.Lease))
	}
	r.reads = len(r.ops)
	for _, name := range tx.Reads {
		r.ops = append(r.ops, readOps(name)...)
	}
	return r
}

// leaves returns the condition that says which lease op takes its key off, if
// it does. Consul's unlock checks the same. A write with a tag always does, for a
// moment that nobody sees: its Flags cannot differ from before, see write.
func leaves(tx adapters.Tx, op adapters.Op) (adapters.Cond, bool) {
	if op.Kind == adapters.OpDelete || op.Kind == adapters.OpPutKeep && op.Tag == 0 {
		return adapters.Cond{}, false
	}
	for _, c := range tx.If {
		if c.Key == op.Key && c.Kind == adapters.CondHeldBy && (c.Lease != op.Lease || op.Tag != 0) {
			return c, true
		}
	}
	return adapters.Cond{}, false
}

func (r *request) kv(op api.KVTxnOp) {
	op.Key = stored(op.Key)
	r.ops = append(r.ops, &api.TxnOp{KV: &op})
}

func (r *request) condition(c adapters.Cond) {
	switch c.Kind {
	case adapters.CondAbsent:
		r.kv(api.KVTxnOp{Verb: api.KVCheckNotExists, Key: c.Key})
	case adapters.CondUnchanged:
		r.kv(api.KVTxnOp{Verb: api.KVCheckIndex, Key: c.Key, Index: uint64(c.Mod)})
	case adapters.CondHeldBy:
		r.kv(api.KVTxnOp{Verb: api.KVCheckSession, Key: c.Key, Session: string(c.Lease)})
	}
}

// write adds op, whose key hangs on the lease from if that is not empty. Every
// write makes its key differ from before: one that does not leaves ModifyIndex
// where it was, and then two that are conditional on it both succeed.
func (r *request) write(op adapters.Op, from string) {
	put := api.KVTxnOp{Key: op.Key, Value: op.Value, Flags: nonce()}
	if op.Tag != 0 {
		put.Flags = op.Tag
	}
	verb := func(v api.KVOp, session string) {
		put.Verb, put.Session = v, session
		r.kv(put)
	}
	switch op.Kind {
	case adapters.OpPut:
		if from == "" {
			verb(api.KVSet, "")
		} else {
			verb(api.KVUnlock, from)
		}
	case adapters.OpPutLeased:
		if from != "" {
			verb(api.KVUnlock, from)
		}
		verb(api.KVLock, string(op.Lease))
	case adapters.OpPutKeep:
		if from == "" {
			verb(api.KVSet, "") // which keeps the session
		} else {
			verb(api.KVUnlock, from)
			verb(api.KVLock, from)
		}
	case adapters.OpDelete:
		r.kv(api.KVTxnOp{Verb: api.KVDelete, Key: op.Key})
	}
}

// nonce is a value for Flags that the key did not have before and that no
// recipe of Consul's knows.
func nonce() uint64 {
	for {
		n := rand.Uint64()
		if n != api.LockFlagValue && n != api.SemaphoreFlagValue {
			return n
		}
	}
}

// result reads the answer to a request that was applied.
func (r *request) result(results api.TxnResults, names []string) (adapters.Result, error) {
	var res adapters.Result
	before := 0 // results of what comes before the reads
	for _, op := range r.ops[:r.reads] {
		switch op.KV.Verb {
		case api.KVCheckNotExists, api.KVDelete: // have no result
			continue
		}
		if before >= len(results) || results[before].KV == nil {
			return adapters.Result{}, errors.New("answer to a transaction lacks a result")
		}
		if v := op.KV.Verb; v == api.KVSet || v == api.KVLock || v == api.KVUnlock {
			res.Rev = adapters.Rev(results[before].KV.ModifyIndex)
		}
		before++
	}
	for _, a := range readResults(results[before:], names) {
		if a.err != nil {
			return adapters.Result{}, a.err
		}
		res.Views = append(res.Views, a.view)
	}
	return res, nil
}

// subject names what tx is about.
func subject(tx adapters.Tx) string {
	switch {
	case len(tx.Then) > 0:
		return fmt.Sprintf(" %q", tx.Then[0].Key)
	case len(tx.If) > 0:
		return fmt.Sprintf(" %q", tx.If[0].Key)
	}
	return fmt.Sprintf(" %q", tx.Reads[0])
}
