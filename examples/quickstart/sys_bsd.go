// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package main

import "syscall"

// childAttr keeps the terminal's Ctrl-C from the workers, since it is for us
// to stop them in order. When we die, a worker sees its standard input end; a
// stopped one is woken for that by the hang-up signal that the kernel sends
// to a stopped process group that has lost its parent, and dies of it.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
