// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package chaos

import (
	"errors"
	"syscall"
)

var dieWithParent *syscall.SysProcAttr

func (p *proc) stop() error { return errors.ErrUnsupported }
func (p *proc) wake() error { return errors.ErrUnsupported }
