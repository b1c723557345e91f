// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "syscall"

// childAttr keeps the terminal's Ctrl-C from the workers, since it is for us
// to stop them in order, and makes the kernel kill them, stopped or not, when
// the thread that started them ends.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
