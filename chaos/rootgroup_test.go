// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// groups are control groups of one kind: with a controller of version 1, or of
// version 2 if it has no name.
type groups struct {
	controller string
	places     []string // where their root may be
}

var (
	diskGroups = groups{"blkio", []string{"/sys/fs/cgroup/blkio"}}
	cpuGroups  = groups{"cpu", []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}}
	// Not version 1's: there, what is frozen cannot be killed.
	freezerGroups = groups{"", []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}}
)

const (
	diskThrottle = "blkio.throttle.write_iops_device"
	groupPrefix  = "quorate-chaos-"
)

// root returns where groups of the kind are made, or "" without one that has
// that file.
func (g groups) root(file string) string {
	for _, dir := range g.places {
		// Version 2 has its own file in each group; the one that tells it from
		// version 1 is in the root too.
		if g.controller == "" {
			if _, err := os.Stat(filepath.Join(dir, "cgroup.controllers")); err != nil {
				continue
			}
		}
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			return dir
		}
	}
	return ""
}

// A group is a control group with one process in it.
type group struct {
	testing.TB
	dir, home string
	pid       int
	leave     func() // puts the process back and removes the group
}

var groupsMade atomic.Int32

// join puts a process into a group of its own.
func (g groups) join(t testing.TB, file string, pid int) *group {
	t.Helper()
	root := g.root(file)
	home, err := g.of(pid)
	require.NoError(t, err)
	c := &group{TB: t, pid: pid, home: filepath.Join(root, home)}
	c.dir = filepath.Join(root, fmt.Sprintf("%s%d-%d", groupPrefix, os.Getpid(), groupsMade.Add(1)))
	require.NoError(t, os.Mkdir(c.dir, 0o755))
	c.leave = sync.OnceFunc(func() {
		// It may be dead; then it is in no group.
		_ = os.WriteFile(filepath.Join(c.home, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
		deadline := time.Now().Add(5 * time.Second)
		for os.Remove(c.dir) != nil { // as long as somebody dies in it
			if time.Now().After(deadline) {
				t.Errorf("%s stays", c.dir)
				return
			}
			<-time.After(5 * time.Millisecond)
		}
	})
	if err := os.WriteFile(filepath.Join(c.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
		c.leave()
		require.NoError(t, err)
	}
	return c
}

// of returns the group of the kind in which a process is.
func (g groups) of(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		// number:controllers:path
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || strings.Contains(f[2], groupPrefix) {
			continue
		}
		for c := range strings.SplitSeq(f[1], ",") {
			if c == g.controller {
				return f[2], nil
			}
		}
	}
	return "", fmt.Errorf("process %d is in no group of %q", pid, g.controller)
}

func (c *group) set(file, value string) {
	c.Helper()
	require.NoError(c, os.WriteFile(filepath.Join(c.dir, file), []byte(value), 0))
}

// get returns the number that stands behind a word in a file of the group.
func (c *group) get(file, word string) int64 {
	c.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, file))
	require.NoError(c, err)
	f := strings.Fields(string(b))
	for i := range len(f) - 1 {
		if f[i] == word {
			n, err := strconv.ParseInt(f[i+1], 10, 64)
			require.NoError(c, err)
			return n
		}
	}
	c.Fatalf("%s: no %s", file, word)
	return 0
}

// freeze stops the processes of a group, which cannot know it.
func (c *group) freeze() {
	c.set("cgroup.freeze", "1")
	require.Eventually(c, func() bool { return c.get("cgroup.events", "frozen") == 1 }, 5*time.Second, 5*time.Millisecond)
}

func (c *group) thaw() {
	if err := os.WriteFile(filepath.Join(c.dir, "cgroup.freeze"), []byte("0"), 0); err != nil && !os.IsNotExist(err) {
		c.Errorf("thaw: %v", err)
	}
}

// ticks returns how long a process has had a processor, in the kernel's units.
func ticks(t testing.TB, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	sum := 0
	for _, s := range f[11:13] { // of the user and of the system
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		sum += n
	}
	return sum
}

// sweepCgroups removes what is left of tests that were killed.
func sweepCgroups() {
	for _, g := range []groups{diskGroups, cpuGroups, freezerGroups} {
		for _, place := range g.places {
			left, _ := filepath.Glob(filepath.Join(place, groupPrefix+"*"))
			for _, dir := range left {
				_ = os.Remove(dir) // fails if somebody is in it
			}
		}
	}
}
