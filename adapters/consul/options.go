// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
)

// DefaultNode is the default of Options.Node.
const DefaultNode = "quorate"

// MinProbeEvery is the least that Options.ProbeEvery may be. Below it, a
// server that is merely busy would look dead.
const MinProbeEvery = 300 * time.Millisecond

const (
	defaultMinTTL     = 10 * time.Second // Consul's session_ttl_min
	defaultProbeEvery = 3 * time.Second
	defaultMaxCalls   = 32
	defaultMaxPolls   = 64
)

// Options of a Store. The zero value means the defaults.
type Options struct {
	// Failover are clients of further agents or servers of the same datacenter.
	// When the one in use does not answer, calls move on to the next, and back
	// to the first after the last. They need the same token and settings.
	Failover []*api.Client

	// Node is the name of the catalog node that leases hang on, and of the
	// folder of the one key that the Store keeps for itself, Node/node. See
	// the package comment. All who share keys must share it. The default is
	// "quorate"; letters, digits, "-", "_" and "." are allowed.
	Node string

	// MinTTL is the shortest lease that the servers grant, which is their
	// setting session_ttl_min: by default 10 s, like there.
	MinTTL time.Duration

	// MaxCalls and MaxPolls are how many requests are under way at once: calls
	// that are answered at once, by default 32, and blocking queries of watches,
	// by default 64. Over plain HTTP each takes a connection, and a Consul agent
	// refuses more than 200 from one address, those of other programs there
	// included. Watches beyond MaxPolls share blocking queries.
	MaxCalls, MaxPolls int

	// ProbeEvery is how often the Store looks whether the agent answers and
	// which server leads while anybody watches. A watch that a frozen server or
	// a dead link keeps silent is moved after at most about one and a half
	// times that. The default is 3 s.
	ProbeEvery time.Duration

	// Logger receives one line when calls move to another client, when watches
	// are moved, and while leases have to wait. Nil means silence.
	Logger *slog.Logger
}

func (o *Options) withDefaults() (Options, error) {
	opts := Options{}
	if o != nil {
		opts = *o
	}
	if opts.Node == "" {
		opts.Node = DefaultNode
	}
	if opts.MinTTL == 0 {
		opts.MinTTL = defaultMinTTL
	}
	if opts.MaxCalls == 0 {
		opts.MaxCalls = defaultMaxCalls
	}
	if opts.MaxPolls == 0 {
		opts.MaxPolls = defaultMaxPolls
	}
	if opts.ProbeEvery == 0 {
		opts.ProbeEvery = defaultProbeEvery
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	invalid := func(format string, args ...any) (Options, error) {
		return opts, fmt.Errorf("%w: Options.%s", adapters.ErrInvalid, fmt.Sprintf(format, args...))
	}
	if esc, err := adapters.Escape(opts.Node); err != nil || esc != opts.Node || strings.Contains(opts.Node, "/") {
		return invalid("Node is %q, must be letters, digits, '-', '_' or '.'", opts.Node)
	}
	switch {
	case opts.MinTTL < time.Millisecond || opts.MinTTL > maxTTL:
		return invalid("MinTTL is %v, must be from %v to %v", opts.MinTTL, time.Millisecond, maxTTL)
	case opts.MaxCalls < 1:
		return invalid("MaxCalls is %d, minimum 1", opts.MaxCalls)
	case opts.MaxPolls < 1:
		return invalid("MaxPolls is %d, minimum 1", opts.MaxPolls)
	case opts.ProbeEvery < MinProbeEvery:
		return invalid("ProbeEvery is %v, minimum %v", opts.ProbeEvery, MinProbeEvery)
	}
	for i, c := range opts.Failover {
		if c == nil {
			return invalid("Failover[%d] is nil", i)
		}
	}
	return opts, nil
}
