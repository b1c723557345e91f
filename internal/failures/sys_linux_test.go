// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var dieWithParent = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

func (p *process) stopProcess() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *process) wakeProcess() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

func readClock() time.Duration {
	var ts unix.Timespec
	must(unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts))
	return time.Duration(ts.Nano())
}

// setClock sets the time of day off by that much, and returns what puts it
// right again. Both reckon from a clock that nobody sets, so that no time is
// lost, however often it is done.
func setClock(off time.Duration) (restore func(), err error) {
	var real, raw unix.Timespec
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_REALTIME, &real), unix.ClockGettime(unix.CLOCK_BOOTTIME, &raw)); err != nil {
		return nil, err
	}
	right := real.Nano() - raw.Nano()
	set := func(off time.Duration) error {
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &raw); err != nil {
			return err
		}
		ts := unix.NsecToTimespec(right + raw.Nano() + int64(off))
		return unix.ClockSettime(unix.CLOCK_REALTIME, &ts)
	}
	err = set(off)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("%w: %v", errors.ErrUnsupported, err)
	}
	return func() { must(set(0)) }, err
}

// must is for what cannot fail once it has been done.
func must(err error) {
	if err != nil {
		panic("clock: " + err.Error())
	}
}
