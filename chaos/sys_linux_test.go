// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var dieWithParent = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

func (p *proc) stop() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *proc) wake() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// setClock sets the time of day off by that much, and returns what puts it
// right again. Both reckon from a clock that nobody sets, so that no time is
// lost, however often it is done. What is right is in a file meanwhile, for the
// process outside of the arena, should this one die.
func setClock(off time.Duration) (restore func(), err error) {
	var real, boot unix.Timespec
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_REALTIME, &real), unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)); err != nil {
		return nil, err
	}
	right := real.Nano() - boot.Nano()
	note := os.Getenv(envClock)
	if note != "" {
		if err := os.WriteFile(note, strconv.AppendInt(nil, right, 10), 0o600); err != nil {
			return nil, err
		}
	}
	err = setReal(right + int64(off))
	return func() {
		must(setReal(right))
		if note != "" {
			must(os.Truncate(note, 0))
		}
	}, err
}

// setReal sets the time of day to that much after the machine's start.
func setReal(sinceBoot int64) error {
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return err
	}
	ts := unix.NsecToTimespec(sinceBoot + boot.Nano())
	return unix.ClockSettime(unix.CLOCK_REALTIME, &ts)
}

func mountTmpfs(dir, options string) error { return unix.Mount("tmpfs", dir, "tmpfs", 0, options) }

// resizeTmpfs sets the size of a file system in memory.
func resizeTmpfs(dir, options string) error {
	return unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, options)
}

// fillTmpfs leaves a file system in memory no free page. It may grow meanwhile.
func fillTmpfs(dir string) (err error) {
	for range 10 {
		var st unix.Statfs_t
		if err = unix.Statfs(dir, &st); err != nil {
			return err
		}
		err = resizeTmpfs(dir, fmt.Sprintf("size=%d", (st.Blocks-st.Bfree)*uint64(st.Bsize)))
		if err == nil {
			return nil
		}
	}
	return err
}

func unmount(dir string) error { return unix.Unmount(dir, 0) }

// deviceOf returns the number of the block device that a directory is on.
func deviceOf(dir string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(dir, &st)
	return st.Dev, err
}

func major(dev uint64) uint32 { return unix.Major(dev) }
func minor(dev uint64) uint32 { return unix.Minor(dev) }
