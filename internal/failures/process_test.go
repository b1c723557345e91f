// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

const envChild = "QUORATE_FAILURES_CHILD" // makes the binary a party; its orders as JSON

// orders are what a process is told at its start.
type orders struct {
	Site site
	Work time.Duration // between asking and writing
}

// A report is one line that a process writes.
type report struct {
	Event string // acquired, wrote, over, given
	At    time.Duration
	Token uint64
	Error string
}

// child is the life of a process that is a party: it takes the lock, believes
// that it has it, and gives it back when it is told so by a line, or dies.
func child(told string) error {
	var o orders
	if err := json.Unmarshal([]byte(told), &o); err != nil {
		return err
	}
	c, err := kindOf(o.Site.Kind).open(o.Site)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	h, err := c.lock(context.Background())
	if err != nil {
		return errors.Join(out.Encode(report{Event: "acquired", Error: err.Error()}), err)
	}
	_ = out.Encode(report{Event: "acquired", At: now(), Token: h.token()})

	stop := make(chan struct{})
	in := bufio.NewScanner(os.Stdin)
	go func() {
		defer close(stop)
		in.Scan()
	}()
	for ticks := time.NewTicker(tick); ; <-ticks.C {
		asked := now()
		if h.check() != nil {
			break
		}
		if o.Work > 0 {
			time.Sleep(o.Work) // sleep: this is the work under the lock
		}
		_ = out.Encode(report{Event: "wrote", At: asked, Token: h.token()})
		select {
		case <-stop:
		default:
			continue
		}
		break
	}
	_ = out.Encode(report{Event: "over"})
	<-stop
	err = h.unlock(context.Background())
	_ = out.Encode(report{Event: "given"})
	in.Scan() // until the parent has seen enough
	return errors.Join(err, c.close())
}

// A process is a party in a process of its own, whose writes are handed on to
// the resource as they come in.
type process struct {
	*party
	cmd   *exec.Cmd
	stdin io.WriteCloser
	kill  func()
	ended chan struct{}
}

// process starts one; it takes the lock, or waits for it.
func (tr *trial) process(work time.Duration) *process {
	tr.Helper()
	told, err := json.Marshal(orders{tr.site, work})
	require.NoError(tr, err)
	self, err := os.Executable()
	require.NoError(tr, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envChild+"="+string(told))
	cmd.SysProcAttr = dieWithParent
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(tr, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(tr, err)
	require.NoError(tr, cmd.Start())

	p := &process{party: newParty(tr), cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	p.stop = sync.OnceFunc(func() { _, _ = io.WriteString(stdin, "give it back\n") })
	p.kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-p.ended
	})
	tr.parties = append(tr.parties, p.party)
	tr.cleanups = append(tr.cleanups, p.kill)
	go p.listens(stdout)
	return p
}

// listens hears what the process reports until it is dead.
func (p *process) listens(stdout io.Reader) {
	defer close(p.ended)
	given := make(chan struct{})
	tell := map[string]func(report){
		"acquired": func(r report) {
			if r.Error != "" {
				p.got(nil, 0, errors.New(r.Error), r.At)
				return
			}
			p.got(processHold{given, p.ended}, r.Token, nil, r.At)
		},
		"wrote": func(r report) {
			p.last.Store(int64(r.At))
			p.trial.resource.write(p.n, r.Token)
		},
		"over":  func(report) { close(p.over) },
		"given": func(report) { close(given) },
	}
	seen := map[string]bool{}
	for in := json.NewDecoder(stdout); ; {
		var r report
		if err := in.Decode(&r); err != nil {
			break
		}
		seen[r.Event] = true
		tell[r.Event](r)
	}
	if !seen["acquired"] {
		p.got(nil, 0, fmt.Errorf("dead: %w", io.EOF), now())
	}
	if !seen["over"] {
		close(p.over)
	}
	_ = p.cmd.Wait()
}

// processHold is given back by the process itself, once it is told to stop.
type processHold struct{ given, ended <-chan struct{} }

func (processHold) check() error  { return nil }
func (processHold) token() uint64 { return 0 }

func (h processHold) unlock(ctx context.Context) error {
	select {
	case <-h.given:
	case <-h.ended:
	case <-ctx.Done():
	}
	return nil
}
