// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/quorate/quorate/adapters"
)

// MinProbeEvery is the least that Options.ProbeEvery may be. Below it, a
// server that is merely busy would look dead.
const MinProbeEvery = 300 * time.Millisecond

const defaultProbeEvery = 3 * time.Second

// Options of a Store. The zero value means the defaults.
type Options struct {
	// ProbeEvery is how long the shared watch stream may be silent before the
	// Store asks it for a sign of life. The default is 3 s, which is about a
	// third of the session's default TTL.
	//
	// A third of it is how long the Store waits for any answer that should come
	// at once: the probe's, a new watch's, and the first try of a read. So a
	// watch on a member that hangs is moved to another one after at most one
	// and a half times ProbeEvery.
	ProbeEvery time.Duration

	// Logger receives one line when a silent watch stream is given up. Nil
	// means silence. The etcd client has a logger of its own.
	Logger *slog.Logger
}

func (o *Options) withDefaults() (Options, error) {
	opts := Options{}
	if o != nil {
		opts = *o
	}
	if opts.ProbeEvery == 0 {
		opts.ProbeEvery = defaultProbeEvery
	}
	if opts.ProbeEvery < MinProbeEvery {
		return opts, fmt.Errorf("%w: Options.ProbeEvery is %v, minimum %v", adapters.ErrInvalid, opts.ProbeEvery, MinProbeEvery)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return opts, nil
}
