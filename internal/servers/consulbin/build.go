// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consulbin

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/servers/flock"
)

// tool is the package of Consul's program, and what go tool calls it.
const (
	pkg  = "github.com/hashicorp/consul"
	tool = "consul"
)

// builder builds Consul with the go command.
type builder struct {
	dir string // of the module that pins it
	out io.Writer

	patience time.Duration // with what might be cached, before it is a build
	every    time.Duration // between two lines of progress
}

// build returns the program in Go's build cache, which it is put into first if
// it is not there. go tool does all of that, without a word: if it does not
// answer soon, go build, which tells what it compiles, goes before it.
func (b *builder) build() (string, error) {
	unlock, err := flock.Lock("quorate-consul", "another build of Consul")
	if err != nil {
		return "", err
	}
	defer unlock()
	soon, cancel := context.WithTimeout(context.Background(), b.patience)
	defer cancel()
	path, err := b.path(soon)
	if soon.Err() == nil {
		return path, b.explain(err)
	}

	p := newProgress(b.out, b.every)
	p.say("building %s from its source: 5 to 8 minutes on 2 cores, once", pkg)
	path, err = b.slowly(p)
	p.stop()
	if err != nil {
		p.say("failed after %s", p.elapsed())
		return "", b.explain(err)
	}
	p.say("built in %s: %s", p.elapsed(), path)
	return path, nil
}

func (b *builder) slowly(p *progress) (string, error) {
	ctx := context.Background()
	deps, err := b.run(ctx, p, "list", "-deps", pkg)
	if err != nil {
		return "", err
	}
	p.expect(bytes.Count(deps, []byte("\n")))
	// Not the program itself, which go tool links in another way.
	imports, err := b.run(ctx, p, "list", "-f", `{{join .Imports "\n"}}`, pkg)
	if err != nil {
		return "", err
	}
	if _, err := b.run(ctx, p, append([]string{"build", "-v"}, strings.Fields(string(imports))...)...); err != nil {
		return "", err
	}
	p.link()
	return b.path(ctx)
}

// path runs the command that people are told to repeat.
func (b *builder) path(ctx context.Context) (string, error) {
	out, err := b.run(ctx, nil, "tool", "-n", tool)
	return strings.TrimSpace(string(out)), err
}

func (b *builder) explain(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("build Consul: %w\nto repeat it: %s go -C %s tool -n %s", err, strings.Join(neutral, " "), b.dir, tool)
}

// neutral is the environment of all go commands: what somebody has set for his
// own builds or tests must not change this one, nor what it prints.
var neutral = []string{"GOWORK=off", "GOFLAGS=-mod=readonly"}

// run runs the go command and returns its output. What it says meanwhile goes
// to p, and to the error if it fails.
func (b *builder) run(ctx context.Context, p *progress, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"-C", b.dir}, args...)...)
	cmd.Env = append(os.Environ(), neutral...)
	cmd.Cancel = func() error { // go lets its compilers finish and keeps what they did
		if err := cmd.Process.Signal(os.Interrupt); err == nil {
			return nil
		}
		return cmd.Process.Kill()
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var last []string
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		p.line(lines.Text())
		if last = append(last, lines.Text()); len(last) > 20 {
			last = last[1:]
		}
	}
	_, _ = io.Copy(io.Discard, stderr) // what follows a line too long to scan
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", args[0], err, strings.Join(last, "\n"))
	}
	return out.Bytes(), nil
}
