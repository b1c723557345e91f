// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import "syscall"

var dieWithParent = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

func (p *proc) stop() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *proc) wake() error { return p.cmd.Process.Signal(syscall.SIGCONT) }
