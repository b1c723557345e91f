// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/quorate/quorate/adapters"
)

// Defaults of Options.
const (
	DefaultPrefix = "quorate"
	// DefaultTTL is above an election of the backend's leader plus two
	// renewals. Shorter, and every such election loses every lock.
	DefaultTTL = 10 * time.Second
)

// Options are the settings of a session. Nil means all defaults.
type Options struct {
	// Prefix is where all keys live; sessions that are to meet share it. It is
	// a plain path such as "prod/billing". Default: DefaultPrefix.
	Prefix string

	// TTL is how long the backend waits for a renewal before it ends the
	// lease: a dead process keeps its places that long. The backend may grant
	// more. Default: DefaultTTL.
	TTL time.Duration

	// Margin is how long before the lease's earliest possible end the session
	// stops trusting it. It has to cover two things. First, clocks that run at
	// different rates: quartz is off by at most a few hundred parts in a
	// million, 5 ms in 10 s. Second, the time from the timer that ends the
	// trust until every goroutine that holds something has seen its context
	// end: scheduling on a loaded machine, garbage collection, throttling by a
	// CPU quota (100 ms periods by default on Linux). Less than half the TTL.
	// Default: a tenth of the TTL, at least 100 ms.
	Margin time.Duration

	// Policy says what to do when a renewal is overdue. Default: HoldOn.
	Policy Policy

	// Lease, if set, is a lease that the program already has, such as that of
	// a concurrency.Session (its id in hex). It is renewed but never made
	// again and never revoked: when it ends, the session is Closed for good.
	// TTL is not used then, and Margin is measured by the lease's own.
	Lease adapters.LeaseID

	// Health, if set, is asked before each renewal. While it returns an error
	// or does not return, the session does not renew: a stuck program lets
	// others take over. It has to honour its context.
	Health func(context.Context) error

	// Owner is a name for people who look at who holds what.
	// Default: the name of the program.
	Owner string

	// CloseTimeout is how long Close waits for work to return and for the
	// backend to confirm. Default: the TTL.
	CloseTimeout time.Duration

	// ReleaseStuck lets Close give back what work that has not returned after
	// CloseTimeout still holds. Two holders at once are then possible; only a
	// resource that checks tokens is safe.
	ReleaseStuck bool

	// Observer is told what happens. Optional.
	Observer *Observer

	// Logger gets one line for each change of state. Default: silent.
	Logger *slog.Logger

	// Clock is the source of time. Default: SystemClock.
	Clock Clock

	plant plant
}

// plant holds defects that tests put in to see that they are caught.
type plant struct {
	fromReceipt bool // trust counts from the answer's arrival: breaks R1
	noSettle    bool // an unknown outcome is taken for a failure: breaks R2
}

func (o *Options) withDefaults(l adapters.Limits) (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Prefix == "" {
		opts.Prefix = DefaultPrefix
	}
	if opts.TTL == 0 {
		opts.TTL = max(DefaultTTL, l.MinTTL)
	}
	if opts.CloseTimeout == 0 {
		opts.CloseTimeout = opts.TTL
	}
	if opts.Owner == "" && len(os.Args) > 0 {
		opts.Owner = base(os.Args[0])
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = SystemClock()
	}
	return opts, opts.check(l)
}

// margin returns the margin of a lease with that TTL.
func (o *Options) margin(ttl time.Duration) time.Duration {
	if o.Margin != 0 {
		return o.Margin
	}
	return max(ttl/10, 100*time.Millisecond)
}

func (o *Options) check(l adapters.Limits) error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("session: Options.%s %s", field, fmt.Sprintf(format, args...)))
	}
	if err := adapters.CheckPrefix(o.Prefix); err != nil {
		bad("Prefix", "%q: %v", o.Prefix, err)
	}
	if o.TTL < l.MinTTL || o.TTL <= 0 {
		bad("TTL", "is %v, the backend's minimum is %v", o.TTL, l.MinTTL)
	}
	if l.MaxTTL > 0 && o.TTL > l.MaxTTL {
		bad("TTL", "is %v, the backend's maximum is %v", o.TTL, l.MaxTTL)
	}
	if m := o.margin(o.TTL); m < 0 || m >= o.TTL/2 {
		bad("Margin", "is %v, must be positive and less than half of TTL %v", m, o.TTL)
	}
	if o.Policy > LetGo {
		bad("Policy", "is %d, must be HoldOn or LetGo", o.Policy)
	}
	if o.CloseTimeout < 0 {
		bad("CloseTimeout", "is %v, must not be negative", o.CloseTimeout)
	}
	if len(o.Owner) > adapters.MaxName {
		bad("Owner", "has %d bytes, limit %d", len(o.Owner), adapters.MaxName)
	}
	return errors.Join(errs...)
}

func base(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if os.IsPathSeparator(path[i]) {
			return path[i+1:]
		}
	}
	return path
}
