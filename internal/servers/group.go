// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

const dirPrefix = "quorate-servers-"

// group is what clusters of every kind have: members, and the thread that
// starts them.
type group struct {
	t       testing.TB
	members []*Member
	jobs    chan func()
}

// newGroup returns a group without members, which ends all that it was given
// when the test ends.
func newGroup(t testing.TB) *group {
	g := &group{t: t, jobs: make(chan func())}
	go g.spawner()
	t.Cleanup(g.shutdown)
	return g
}

// usable skips the test with -short, and stops it without Main.
func usable(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("servers: -short: needs real servers")
	}
	if !running {
		t.Fatal("servers: TestMain of this package must call servers.Main")
	}
}

// dataDir prefers memory: fsync is what a put waits for, and the disks of test
// machines differ. The servers' code path stays the same.
func dataDir(t testing.TB, members int) string {
	if !roomy(shm, members) {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shm, dirPrefix)
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// add gives the group a member, which does not run yet.
func (g *group) add(m *Member) {
	m.group = g
	g.members = append(g.members, m)
}

// start starts all members.
func (g *group) start() {
	g.t.Helper()
	for _, m := range g.members {
		m.mu.Lock()
		err := m.start()
		m.mu.Unlock()
		if err != nil {
			g.t.Fatalf("servers: start member %s: %v", m.name, err)
		}
	}
}

// spawner starts all processes from one thread that lives as long as the
// cluster: Linux kills them with the thread that started them, not with the process.
func (g *group) spawner() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for job := range g.jobs {
		job()
	}
}

func (g *group) spawn(cmd *exec.Cmd) error {
	err := make(chan error)
	g.jobs <- func() { err <- cmd.Start() }
	return <-err
}

func (g *group) shutdown() {
	for _, m := range g.members {
		if err := m.failure(); err != nil {
			g.t.Errorf("servers: %v", err)
		}
		m.Kill()
	}
	close(g.jobs)
}

// pause is the time between two looks at a server that starts.
func pause(ctx context.Context) error {
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
