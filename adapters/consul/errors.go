// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
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
	switch {
	case kind == nil && ctx.Err() != nil:
		err = context.Cause(ctx)
	case kind == nil && cutOverTLS(err) && !errors.Is(err, errCertificate):
		err = fmt.Errorf("%w (%w)", err, errCertificate)
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
	if before(err) {
		return errRefused
	}
	text := err.Error()
	// These come before anything is done. Not every method of api tells the
	// status, and servers behind an agent send no status but a text.
	switch {
	case contains(text, noPrimary):
		return errRefused
	case contains(text, denial, "ACL not found", "Cannot resolve root ACL"):
		return adapters.ErrDenied
	case contains(text, "No cluster leader", "node is not the leader", "rate limit exceeded"):
		return errRefused
	case contains(text, "Invalid Session TTL"):
		return adapters.ErrInvalid
	case contains(text, "HTTP request to an HTTPS server", "HTTP response to HTTPS client"):
		return errRefused // the first has a status that is final otherwise
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

const (
	// denial begins every text about a right that a token lacks.
	denial = "Permission denied"

	// noPrimary is in the denials of a server that cannot ask the primary
	// datacenter, which is the one that knows the tokens, what this token may do.
	// That passes.
	noPrimary = "AccessorID 'primary-dc-down'"
)

func contains(text string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}

// before tells errors that come before a request is sent, or before the agent
// looks at it: nobody was reached, or one side refused the other's certificate.
func before(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "remote error" && contains(op.Err.Error(), "certificate")) {
		return true
	}
	var stranger *tls.CertificateVerificationError
	return errors.As(err, &stranger)
}

// errCertificate is what else may be wrong when a connection was cut. An agent
// refuses a certificate after the client's half of the handshake is done. If a
// request is on its way by then, the refusal can get lost.
var errCertificate = errors.New("perhaps the agent refused the client's certificate")

func cutOverTLS(err error) bool {
	var req *url.Error // of a request that got no answer
	return errors.As(err, &req) && strings.HasPrefix(req.URL, "https:") && !req.Timeout() && !errors.Is(err, context.Canceled)
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
// ended, and a missing right for more than both, if it is certain that it is.
func rollback(errs api.TxnErrors, ops api.TxnOps) error {
	kinds := []error{errRefused, adapters.ErrDenied, adapters.ErrConflict, adapters.ErrLeaseLost}
	rank := func(err error) int {
		for i, kind := range kinds {
			if errors.Is(err, kind) {
				return i
			}
		}
		return len(kinds)
	}
	worst := errors.New("no reason given")
	for i, e := range errs { // of equals, the first
		if err := txnError(e, ops); i == 0 || rank(err) < rank(worst) {
			worst = err
		}
	}
	if rank(worst) == len(kinds) {
		return fmt.Errorf("%w: rolled back: %w", adapters.ErrInvalid, worst)
	}
	return worst
}

// txnError says what one of these errors means. Keys stand in the middle of its
// text, so only the ends are looked at.
func txnError(e *api.TxnError, ops api.TxnOps) error {
	what := errors.New(e.What)
	begins := func(text string) bool { return strings.HasPrefix(e.What, text) }
	ends := func(text string) bool { return strings.HasSuffix(e.What, text) }
	switch {
	case begins(denial) && contains(e.What, noPrimary):
		return fmt.Errorf("%w: %w", errRefused, what)
	case begins(denial):
		return fmt.Errorf("%w: %w", adapters.ErrDenied, what)
	case begins("invalid session"), begins("failed session lookup"):
		return fmt.Errorf("%w: %w", adapters.ErrLeaseLost, what)
	case ends("due to lock delay"), ends("lock is already held"), ends("lock isn't held, or is held by another session"):
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
