// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package chaos

import (
	"errors"
	"syscall"
	"time"
)

var dieWithParent *syscall.SysProcAttr

func (p *proc) stop() error { return errors.ErrUnsupported }
func (p *proc) wake() error { return errors.ErrUnsupported }

// What needs root is for Linux alone: the arena says so, and nobody comes here.

func enterArena() string { return "this is not Linux" }
func setUpArena() error  { return errors.ErrUnsupported }

func setClock(time.Duration) (restore func(), err error) { return nil, errors.ErrUnsupported }
func mountTmpfs(string, string) error                    { return errors.ErrUnsupported }
func resizeTmpfs(string, string) error                   { return errors.ErrUnsupported }
func fillTmpfs(string) error                             { return errors.ErrUnsupported }
func unmount(string) error                               { return errors.ErrUnsupported }
func deviceOf(string) (uint64, error)                    { return 0, errors.ErrUnsupported }
func major(uint64) uint32                                { return 0 }
func minor(uint64) uint32                                { return 0 }
