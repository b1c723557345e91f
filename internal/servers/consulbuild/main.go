// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Consulbuild says which Consul the tests will start, and builds it if there
// is none, which takes minutes, once. The tests would do the same, but go test
// would not show it:
//
//	go run ./internal/servers/consulbuild && go test ./...
package main

import (
	"fmt"
	"os"

	"github.com/quorate/quorate/internal/servers/consulbin"
)

func main() {
	program, err := consulbin.Find(os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("consul: %s (%s)\n", program.Path, program.From)
}
