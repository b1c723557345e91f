// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/chaos/results"
)

// What a client may use: several times what it does.
const (
	mostMemory = 256 << 20
	mostFiles  = 256
)

// usage watches what the clients use of the machine.
type usage struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	peak   results.Usage
}

func (r *run) watchUsage() *usage {
	ctx, cancel := context.WithCancel(context.Background())
	u := &usage{cancel: cancel}
	u.wg.Go(func() {
		for ctx.Err() == nil {
			for _, p := range r.procs {
				used := used(p.pid())
				u.mu.Lock()
				u.peak.Max(used)
				u.mu.Unlock()
			}
			pause(ctx, time.Second)
		}
	})
	return u
}

func (u *usage) stop() {
	u.cancel()
	u.wg.Wait()
}

func (u *usage) most() results.Usage {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.peak
}

func (p *proc) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// used reads what a process uses now; nothing where the kernel does not tell.
func used(pid int) (u results.Usage) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	if files, err := os.ReadDir(dir + "fd"); err == nil {
		u.Files = len(files)
	}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return u
	}
	for line := range strings.Lines(string(status)) {
		var kB int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kB); err == nil {
			u.Memory = kB << 10
		}
	}
	return u
}
