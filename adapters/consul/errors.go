// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
)

// explain says what an error of a call means. wrote tells that the call may
// have changed something; then every error is of an unknown outcome that is not
// known to come before anything was done.
func explain(ctx context.Context, err error, wrote bool) error {
	if isOurs(err) {
		return err
	}
	kind := kindOf(err)
	if kind == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	switch {
	case kind == errRefused:
		return err
	case kind != nil:
		return fmt.Errorf("%w: %w", kind, err)
	case wrote:
		return fmt.Errorf("%w: %w", adapters.ErrUnknown, err)
	}
	return err
}

// errRefused means that a request had no effect and may be made again.
var errRefused = errors.New("refused")

// isOurs tells that err has been given its meaning already.
func isOurs(err error) bool {
	for _, known := range []error{adapters.ErrConflict, adapters.ErrLeaseLost, adapters.ErrUnknown, adapters.ErrInvalid, adapters.ErrDenied} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// kindOf returns which error of package adapters err is, errRefused if a
// request certainly had no effect, and nil for everything else: timeouts, cut
// connections, and an agent or a server that failed.
func kindOf(err error) error {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return errRefused // nobody was reached
	}
	text := err.Error()
	// These come before anything is done. Not every method of api tells the
	// status, and servers behind an agent send no status but a text.
	switch {
	case strings.Contains(text, "Permission denied"), strings.Contains(text, "ACL not found"), strings.Contains(text, "ACL token lookup failed"):
		return adapters.ErrDenied
	case strings.Contains(text, "Invalid Session TTL"):
		return adapters.ErrInvalid
	case strings.Contains(text, "No cluster leader"), strings.Contains(text, "node is not the leader"), strings.Contains(text, "rate limit exceeded"):
		return errRefused
	}
	var status api.StatusError
	if errors.As(err, &status) {
		switch status.Code {
		case http.StatusForbidden, http.StatusUnauthorized:
			return adapters.ErrDenied
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusMethodNotAllowed:
			return adapters.ErrInvalid
		case http.StatusTooManyRequests:
			return errRefused // too many connections from this address
		}
	}
	return nil
}

// linkFailed tells that a call failed for its agent or the way to it, so that
// another one may be better.
func linkFailed(err error) bool {
	if isOurs(err) {
		return false
	}
	kind := kindOf(err)
	return kind == nil || kind == errRefused
}

// rollback says what the errors of a transaction mean that was rolled back. ops
// may be nil. A condition that failed counts for more than a lease that has
// ended, and a missing right for more than both.
func rollback(errs api.TxnErrors, ops api.TxnOps) error {
	rank := func(err error) int {
		for i, kind := range []error{adapters.ErrDenied, adapters.ErrConflict, adapters.ErrLeaseLost} {
			if errors.Is(err, kind) {
				return i
			}
		}
		return 3
	}
	var worst error
	for _, e := range errs {
		if err := txnError(e, ops); worst == nil || rank(err) < rank(worst) {
			worst = err
		}
	}
	if rank(worst) == 3 {
		return fmt.Errorf("%w: rolled back: %w", adapters.ErrInvalid, worst)
	}
	return worst
}

func txnError(e *api.TxnError, ops api.TxnOps) error {
	what := errors.New(e.What)
	is := func(text string) bool { return strings.Contains(e.What, text) }
	switch {
	case is("Permission denied"):
		return fmt.Errorf("%w: %w", adapters.ErrDenied, what)
	case is("invalid session"), is("failed session lookup"):
		return fmt.Errorf("%w: %w", adapters.ErrLeaseLost, what)
	case is("lock delay"), is("already held"), is("lock isn't held"):
		return fmt.Errorf("%w: %w", adapters.ErrConflict, what)
	}
	if e.OpIndex >= 0 && e.OpIndex < len(ops) && ops[e.OpIndex].KV != nil {
		switch ops[e.OpIndex].KV.Verb {
		case api.KVCheckIndex, api.KVCheckNotExists, api.KVCheckSession:
			return fmt.Errorf("%w: %w", adapters.ErrConflict, what)
		}
	}
	return what
}
