// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// Member is one server of an [Etcd], or one agent of a [Consul]. Its methods
// may be called from any goroutine; what fails is reported as an error of the
// test.
type Member struct {
	name, dir string
	base      string                    // the directory of what it writes beside its data
	host      *Host                     // nil is loopback
	addr, url string                    // where clients find it
	command   func() (*exec.Cmd, error) // of its next life
	quit      func(*process) error      // asks it to shut down in order
	exit      int                       // the status that it may then end with, beside 0
	group     *group

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

// start begins the member's next life. The caller holds m.mu.
func (m *Member) start() error {
	log, err := os.CreateTemp(m.base, m.name+"-*.log")
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	cmd, err := m.command()
	if err != nil {
		return err
	}
	cmd = m.host.command(cmd)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := m.group.spawn(cmd); err != nil {
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

// Terminate shuts the member down in order, and waits until it is gone. A
// client agent of a [Consul] leaves the cluster first, if it finds a server.
func (m *Member) Terminate() {
	err := m.end(func(p *process) error {
		_ = sigcont(p.cmd.Process) // a stopped process hears nothing
		return m.quit(p)
	})
	if exit := (*exec.ExitError)(nil); m.exit != 0 && errors.As(err, &exit) && exit.ExitCode() == m.exit {
		err = nil
	}
	m.check("terminate", err)
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
// still runs. It does not wait until the member serves: see [Etcd.Ready] and
// [Consul.Ready].
func (m *Member) Restart() {
	m.Kill()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.check("restart", m.start())
}

// Endpoint returns the URL of the member for clients. It never changes.
func (m *Member) Endpoint() string { return m.url }

// Dir returns the directory of the member's data.
func (m *Member) Dir() string { return m.dir }

// Host returns where the member runs; the zero Host is loopback.
func (m *Member) Host() Host {
	if m.host == nil {
		return Host{}
	}
	return *m.host
}

// MayEnd says that the member's present life may end by itself, and for a
// reason that the caller made. Its next life may not.
func (m *Member) MayEnd() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proc.meant = true
}

// Ended says whether the member's last life is over.
func (m *Member) Ended() bool { return m.last().dead() }

// Said returns the end of what the member has written in its last life.
func (m *Member) Said() string { return m.last().tail() }

// last returns the member's last life.
func (m *Member) last() *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proc
}

// Pid returns the process id of the member's last life.
func (m *Member) Pid() int {
	return m.last().cmd.Process.Pid
}

func (m *Member) check(what string, err error) {
	if err != nil {
		m.group.t.Errorf("servers: member %s: %s: %v", m.name, what, err)
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
		m.name, m.proc.cmd.Process.Pid, m.proc.err, m.proc.tail())
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
