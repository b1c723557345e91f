// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/quorate/quorate/adapters/embedded"
)

// Member is one server of an [Etcd]. Its methods may be called from any
// goroutine; what fails is reported as an error of the test.
type Member struct {
	etcd *Etcd
	opts embedded.Options

	mu   sync.Mutex
	proc *process // the last one started; nil before
}

// process is one life of a member.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	log   string
	ended chan struct{} // closed when it has been waited for
	err   error         // how it ended; valid after ended
	meant bool          // we ended it; guarded by Member.mu
}

// start runs the test binary again, as a server. The caller holds m.mu.
func (m *Member) start() error {
	settings, err := json.Marshal(m.opts)
	if err != nil {
		return err
	}
	log, err := os.CreateTemp(filepath.Dir(m.opts.Dir), m.opts.Name+"-*.log")
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envServer+"="+string(settings))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := m.etcd.spawn(cmd); err != nil {
		return err
	}
	p := &process{cmd: cmd, stdin: stdin, log: log.Name(), ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	m.proc = p
	return nil
}

// end ends the process in the given way, if it runs, waits for that, and
// returns how it went: nil if it exited with status 0.
func (m *Member) end(how func(*process) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.proc
	if p == nil || p.dead() {
		return nil
	}
	p.meant = true
	if err := how(p); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("%w; %s", p.err, p.tail())
	}
	return nil
}

// onEnd calls f when the process has ended, unless it is stopped first.
func (p *process) onEnd(f func()) (stop func()) {
	stopped := make(chan struct{})
	go func() {
		select {
		case <-p.ended:
			f()
		case <-stopped:
		}
	}()
	return func() { close(stopped) }
}

func (p *process) dead() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Kill ends the member as SIGKILL does, and waits until it is gone.
func (m *Member) Kill() {
	err := m.end(func(p *process) error { return p.cmd.Process.Kill() })
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) { // how else
		m.check("kill", err)
	}
}

// Terminate shuts the member down in order, and waits until it is gone.
func (m *Member) Terminate() {
	m.check("terminate", m.end(func(p *process) error {
		_ = sigcont(p.cmd.Process) // a stopped process hears nothing
		return p.stdin.Close()
	}))
}

// Stop freezes the member (SIGSTOP): its connections stay open and nothing answers.
func (m *Member) Stop() { m.signal("stop", sigstop) }

// Cont lets a frozen member go on (SIGCONT).
func (m *Member) Cont() { m.signal("continue", sigcont) }

func (m *Member) signal(what string, send func(*os.Process) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == nil || m.proc.dead() {
		m.check(what, os.ErrProcessDone)
		return
	}
	m.check(what, send(m.proc.cmd.Process))
}

// Restart starts the member on its data and its address, after a Kill if it
// still runs. It does not wait until the member serves: see [Etcd.Ready].
func (m *Member) Restart() {
	m.Kill()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.check("restart", m.start())
}

// Endpoint returns the URL of the member for clients. It never changes.
func (m *Member) Endpoint() string { return "http://" + m.opts.ClientAddr }

// Dir returns the directory of the member's data.
func (m *Member) Dir() string { return m.opts.Dir }

// Pid returns the process id of the member's last life.
func (m *Member) Pid() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proc.cmd.Process.Pid
}

func (m *Member) check(what string, err error) {
	if err != nil {
		m.etcd.t.Errorf("servers: member %s: %s: %v", m.opts.Name, what, err)
	}
}

// failure returns an error if the member ended and nobody had asked for it.
func (m *Member) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == nil || !m.proc.dead() || m.proc.meant {
		return nil
	}
	return fmt.Errorf("member %s (pid %d) ended by itself: %v; %s",
		m.opts.Name, m.proc.cmd.Process.Pid, m.proc.err, m.proc.tail())
}

// tail returns the end of what the process wrote.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const limit = 4 << 10
	if len(b) > limit {
		b = b[len(b)-limit:]
	}
	return "its last words:\n" + string(bytes.TrimSpace(b))
}
