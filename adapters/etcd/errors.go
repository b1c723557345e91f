// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/adapters"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// explain says what an error of a call means. wrote tells that the call may
// have changed something; then every error is of an unknown outcome that is not
// known to come before anything was done. What the call needed is for the error
// that says that it was denied.
func (s *Store) explain(ctx context.Context, err error, wrote bool, n needs) error {
	cause := s.cause(ctx, err)
	switch {
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return fmt.Errorf("%w: %w", adapters.ErrLeaseLost, cause)
	case s.denied(err):
		if hint := s.hint(err, n); hint != "" {
			return fmt.Errorf("%w: %s: %w", adapters.ErrDenied, hint, cause)
		}
		return fmt.Errorf("%w: %w", adapters.ErrDenied, cause)
	case wrote && !refused(err):
		return fmt.Errorf("%w: %w", adapters.ErrUnknown, cause)
	}
	return cause
}

// cause is err, or the reason for which ctx ended if that is what err reports.
func (s *Store) cause(ctx context.Context, err error) error {
	if _, timed := ctx.Deadline(); timed && code(err) == codes.DeadlineExceeded {
		// The server counts the caller's deadline too and can be the first to
		// report it. The caller is to see its own reason all the same.
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	if ctx.Err() != nil {
		return unreached(context.Cause(ctx), err)
	}
	if s.client.Ctx().Err() != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}

// unreached adds to the reason for which a call ended why it had no connection,
// if it had none: a certificate that somebody does not trust is no timeout.
func unreached(cause, err error) error {
	_, why, ok := strings.Cut(err.Error(), "latest balancer error: ")
	if !ok {
		return cause
	}
	for _, end := range []string{"EOF", "broken pipe", "reset by peer"} {
		if strings.HasSuffix(strings.TrimRight(why, `"`), end) {
			// A server with TLS 1.3 refuses a client when that believes to be
			// connected, and what the client writes then can fail before it has
			// read why.
			why += " (as when the server refuses the client's TLS certificate, or one side does not speak TLS)"
		}
	}
	return fmt.Errorf("%w: no connection to etcd: %s", cause, why)
}

// A lateError is what grpc said of a call whose context ended. The client puts
// the context's own error, which tells less, in the place of a gRPC status; this
// is none, so the client leaves it.
type lateError struct{ status *status.Status }

func (e *lateError) Error() string { return e.status.Message() }

// late returns err, in that form if ctx has ended and err reports it.
func late(ctx context.Context, err error) error {
	if st, ok := status.FromError(err); ok && err != nil && ctx.Err() != nil &&
		(st.Code() == codes.DeadlineExceeded || st.Code() == codes.Canceled) {
		return &lateError{st}
	}
	return err
}

// refused tells that a server or the client rejected a request before it had
// any effect. etcd gives these codes while it checks a request, either before
// it is proposed or as the first step of applying it.
//
// Two that look alike are left out. "database space exceeded" also comes after
// a write that was applied: the applier checks the quota first, applies, and
// then reports that there was no space. And a ResourceExhausted of gRPC's own
// can mean that the answer, not the request, was too large.
func refused(err error) bool {
	if errors.Is(err, rpctypes.ErrTooManyRequests) {
		return true
	}
	switch code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied,
		codes.FailedPrecondition, codes.OutOfRange, codes.Unimplemented, codes.Unauthenticated:
		return true
	}
	return false
}

// denied tells that credentials lack a right, or are no credentials.
func (s *Store) denied(err error) bool {
	switch c := code(err); {
	case errors.Is(err, rpctypes.ErrAuthOldRevision):
		// Somebody changed roles. The next try sees the new ones, but for a token
		// that was issued before and cannot be replaced.
		return s.client.Token != ""
	case stale(err):
		// The client logs in again by itself if it has a password.
		return s.client.Username == ""
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return true
	default:
		return c == codes.PermissionDenied || c == codes.Unauthenticated
	}
}

// stale tells that a token has expired, also one that an open stream carries.
func stale(err error) bool {
	return errors.Is(err, rpctypes.ErrInvalidAuthToken) || errors.Is(err, rpctypes.ErrUserEmpty) ||
		errors.Is(err, rpctypes.ErrAuthOldRevision)
}

func code(err error) codes.Code {
	var (
		e    rpctypes.EtcdError
		late *lateError
	)
	switch {
	case errors.As(err, &e):
		return e.Code()
	case errors.As(err, &late):
		return late.status.Code()
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	}
	return status.Code(err)
}

// watchError restores an error that the server sent as the reason for which it
// canceled a watch. It arrives as a printed gRPC status, without its code.
func watchError(err error) error {
	const sep = " desc = "
	text := err.Error()
	if i := strings.LastIndex(text, sep); i >= 0 {
		text = text[i+len(sep):]
	}
	if known := rpctypes.Error(errors.New(text)); errors.As(known, new(rpctypes.EtcdError)) {
		return known
	}
	return err
}
