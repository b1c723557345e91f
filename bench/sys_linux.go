// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"syscall"
)

// dataDir returns where the server's data goes: into memory, if there is room.
// etcd reserves 128 MB for its log at once.
func dataDir() string {
	const shm = "/dev/shm"
	var st syscall.Statfs_t
	if syscall.Statfs(shm, &st) == nil && st.Bavail*uint64(st.Bsize) > 512<<20 {
		return shm
	}
	return os.TempDir()
}

// dieWithParent has the kernel kill a process when the thread that started it
// ends, in case that we are killed.
var dieWithParent = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
