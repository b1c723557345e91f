// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/quorate/quorate/internal/links"
	"github.com/quorate/quorate/internal/servers"
)

var table = flag.String("table", "", "write what was measured to this file, as Markdown")

func TestMain(m *testing.M) {
	if told, ok := os.LookupEnv(envChild); ok {
		if err := child(told); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// These tests wait far more than they compute, so more of them can run at
	// once than there are cores; how many is up to each ground.
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = f.Value.Set("200")
	}
	servers.Main(m, links.Leaks()...)
}
