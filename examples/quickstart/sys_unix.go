// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// canFreeze says whether a process can be stopped and woken here.
const canFreeze = true

// now reads a clock that all processes of the machine share and that nobody sets.
func now() time.Duration {
	var ts unix.Timespec
	// Cannot fail: the clock exists and ts is ours.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano())
}

// freeze stops a child of ours and returns when it stands still. The signal
// alone is not enough: until one thread has taken it, others may go on.
func freeze(p *os.Process) error {
	if err := p.Signal(unix.SIGSTOP); err != nil {
		return err
	}
	for {
		var ws unix.WaitStatus
		_, err := unix.Wait4(p.Pid, &ws, unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for the stop: %w", err)
		case ws.Stopped():
			return nil
		default:
			return errors.New("ended instead of stopping")
		}
	}
}

// wake lets a frozen process go on. It does nothing to others.
func wake(p *os.Process) error { return p.Signal(unix.SIGCONT) }
