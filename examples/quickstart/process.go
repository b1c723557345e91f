// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// A process is a worker as its parent sees it.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr tail
	ended  chan struct{} // closed when it has been waited for
	err    error         // how it ended; valid after ended

	// Only the story's goroutine looks at these.
	meant  bool // we ended it, or told it to
	killed bool // at once
}

// start starts this program again as a worker and has tell called with all
// that it reports.
func start(a assignment, tell func(event), gone func()) (*process, error) {
	in, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{name: a.Name, cmd: exec.Command(exe), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), envWorker+"="+string(in))
	p.cmd.SysProcAttr = childAttr()
	p.cmd.Stderr = &p.stderr
	if a.Verbose {
		p.cmd.Stderr = os.Stderr
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start worker %s: %w", a.Name, err)
	}
	go func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			e := event{who: a.Name}
			// A line may be cut off by a SIGKILL.
			if json.Unmarshal(lines.Bytes(), &e) == nil && e.Kind != "" {
				tell(e)
			}
		}
		p.err = p.cmd.Wait()
		close(p.ended)
		gone()
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// retire tells the process to end in order.
func (p *process) retire() {
	p.meant = true
	_ = wake(p.cmd.Process) // a frozen one hears nothing
	_ = p.stdin.Close()
}

// kill ends the process at once; stopped or not.
func (p *process) kill() error {
	p.meant, p.killed = true, true
	return p.cmd.Process.Kill()
}

// await waits for the end and reports whether it came in time.
func (p *process) await(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-timer.C:
		return false
	}
}

// failure returns an error if the process ended and nobody had asked for it.
func (p *process) failure() error {
	select {
	case <-p.ended:
	default:
		return nil
	}
	if p.meant {
		return nil
	}
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("worker %s (pid %d) ended by itself: %s: %s", p.name, p.pid(), how, p.stderr.String())
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if over := t.buf.Len() - 4<<10; over > 0 {
		t.buf.Next(over)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.buf.String())
}
