// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"flag"
	"os"
	"testing"

	"github.com/quorate/quorate/internal/servers"
)

func TestMain(m *testing.M) {
	if os.Getenv(envEtcdctl) != "" {
		os.Exit(etcdctl(os.Args[1:]))
	}
	// These tests wait for leases and tokens far more than they compute. The
	// command line can say otherwise.
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = f.Value.Set("6")
	}
	servers.Main(m)
}
