// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package servers

import (
	"net"
	"syscall"
)

// No directory in memory here that all systems have; data go to t.TempDir.
const shm = "/nonexistent"

func roomy(string, int) bool { return false }

// dieWithParent is nothing here: children notice the end of their standard
// input, unless they are stopped.
var dieWithParent *syscall.SysProcAttr

// reserve chooses a port that was free a moment ago. Should another process
// take it, the server fails to bind and the test says so.
func reserve() (addr string, release func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return l.Addr().String(), func() {}, l.Close()
}

// privateHost is the one loopback address that all systems have.
func privateHost() string { return "127.0.0.1" }

// reserveBoth leaves it to chance that the port is free for UDP as well.
func reserveBoth(string) (addr string, release func(), err error) { return reserve() }
