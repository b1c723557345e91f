// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"flag"
	"testing"

	"github.com/quorate/quorate/internal/servers"
)

func TestMain(m *testing.M) {
	// These tests wait for leases far more than they compute, so more of them
	// can run at once than there are cores. The command line can say otherwise.
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = f.Value.Set("6")
	}
	servers.Main(m)
}
