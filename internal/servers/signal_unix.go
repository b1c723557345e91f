// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package servers

import (
	"os"
	"syscall"
)

func sigstop(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }
func sigcont(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
