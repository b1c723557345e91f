// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package failures

import (
	"errors"
	"syscall"
	"time"

	"github.com/quorate/quorate/session"
)

var dieWithParent *syscall.SysProcAttr

func (p *process) stopProcess() error { return errors.ErrUnsupported }
func (p *process) wakeProcess() error { return errors.ErrUnsupported }

func setClock(time.Duration) (restore func(), err error) { return nil, errors.ErrUnsupported }

var readClock = session.SystemClock().Now
