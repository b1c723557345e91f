// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package servers

import (
	"errors"
	"os"
)

func sigstop(*os.Process) error { return errors.ErrUnsupported }
func sigcont(*os.Process) error { return errors.ErrUnsupported }
