// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import (
	"os"
	"syscall"
)

// dataDir returns where the server's data goes.
func dataDir() string { return os.TempDir() }

// dieWithParent is nothing here: what we start outlives us if we are killed.
var dieWithParent *syscall.SysProcAttr
