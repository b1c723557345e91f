// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/quorate/quorate/internal/links"
	"github.com/quorate/quorate/internal/servers"
)

func TestMain(m *testing.M) {
	if told, ok := os.LookupEnv(envClient); ok {
		if err := runClient(told); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	arena(!testing.Short() && flag.Lookup("test.list").Value.String() == "")
	servers.Main(m, links.Leaks()...)
}
