// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"os"
	"sync"

	"github.com/quorate/quorate/internal/servers/consulbin"
)

// consulProgram finds or builds Consul, once per test binary. Children of the
// test need not look again.
var consulProgram = sync.OnceValues(func() (consulbin.Program, error) {
	program, err := consulbin.Find(os.Stderr)
	if err == nil {
		err = os.Setenv(consulbin.Env, program.Path)
	}
	return program, err
})
