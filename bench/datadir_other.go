// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "os"

// dataDir returns where the server's data goes.
func dataDir() string { return os.TempDir() }
