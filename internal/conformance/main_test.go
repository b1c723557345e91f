// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"flag"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/servers"
)

func TestMain(m *testing.M) {
	// Many of these tests wait for leases and elections far more than they
	// compute, so more of them can run at once than there are cores. Those that
	// keep the cores busy, as crowds and logins do, or look at the whole process,
	// are not parallel. The command line can say otherwise.
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = f.Value.Set("8")
	}
	servers.Main(m)
}

// calm are slower timers than the default: several clusters share few cores,
// and an election that nobody asked for is no subject here.
var calm = &servers.Options{Heartbeat: 30 * time.Millisecond, Election: 300 * time.Millisecond}
