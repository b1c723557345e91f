// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package main

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// canFreeze says whether a process can be stopped and woken here.
const canFreeze = false

// now reads the wall clock, the only one that processes share here. Whoever
// sets it during a run spoils the run.
func now() time.Duration { return time.Duration(time.Now().UnixNano()) }

func freeze(*os.Process) error { return errors.ErrUnsupported }
func wake(*os.Process) error   { return nil }

// childAttr is nothing here: a worker ends when its standard input does.
func childAttr() *syscall.SysProcAttr { return nil }
