// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	// maxTry is the longest that one try of a read may take before the next
	// one. Large subtrees and overloaded servers need their time. It is less than
	// maxCall, at which the read would fail.
	maxTry = 24 * time.Second

	// maxCall is how long a request may take whose context has no deadline: a
	// server that is frozen would keep it for as long as it likes.
	maxCall = 30 * time.Second
)

// once makes one call, with one try. wrote tells that it may change something.
//
// It waits for one of MaxCalls slots. Those are the calls' own, so that however
// many watches wait, a lock can be released: each call is short, and a blocking
// query takes none of them.
func (s *Store) once(ctx context.Context, wrote bool, call func(context.Context, *api.Client) error) error {
	return s.with(ctx, s.calls, wrote, call)
}

// with is once, with a slot of slots.
func (s *Store) with(ctx context.Context, slots chan struct{}, wrote bool, call func(context.Context, *api.Client) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	tctx, cancel := context.WithTimeout(ctx, maxCall)
	defer cancel()
	i := s.using.Load()
	err := call(tctx, s.clients[i])
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
		err = errNoAnswer // the cause may look like one: it can come from another call
	}
	switch {
	case ctx.Err() == context.Canceled, errors.Is(err, errNoNode):
		// Nobody waits any more, or that is an answer.
	case tctx.Err() != nil, linkFailed(err):
		s.moveOn(i, err)
	}
	return explain(ctx, err, wrote)
}

// errNoAnswer is what a call gave whose context ended before an answer came.
var errNoAnswer = errors.New("no answer")

// patiently makes a call that changes nothing, and gives a try up that takes
// long: the next one may find another server, or over plain HTTP another connection.
func (s *Store) patiently(ctx context.Context, call func(context.Context, *api.Client) error) error {
	for patience := s.patience; ; patience = min(2*patience, maxTry) {
		tctx, cancel := context.WithTimeout(ctx, patience)
		err := s.once(tctx, false, call)
		late := tctx.Err() != nil
		cancel()
		if err == nil || ctx.Err() != nil {
			if err != nil {
				err = explain(ctx, err, false)
			}
			return err
		}
		if !late {
			return err
		}
	}
}

// moveOn leaves client i for the next one, unless somebody else has.
func (s *Store) moveOn(i int32, why error) {
	if n := int32(len(s.clients)); n > 1 && s.using.CompareAndSwap(i, (i+1)%n) {
		s.opts.Logger.Info("consul: calls move to the next client", "from", i, "to", (i+1)%n, "cause", why)
	}
}
