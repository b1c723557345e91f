// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package servers_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
)

// An agent that nobody meant to end must fail the test; here a stand-in for it.
func TestConsulUnexpectedExitIsReported(t *testing.T) {
	tb := &fakeTB{TB: t}
	c := servers.StartConsulWith(tb, 1, &servers.ConsulOptions{Dev: true})
	require.NoError(t, syscall.Kill(c.Member(0).Pid(), syscall.SIGTERM))
	require.Eventually(t, func() bool { return c.Ready(within(t, time.Second)) != nil }, 5*time.Second, 10*time.Millisecond)
	require.Empty(t, tb.errors)
	tb.cleanup()
	require.Len(t, tb.errors, 1)
	require.Contains(t, tb.errors[0], "member s0 (pid ")
	require.Contains(t, tb.errors[0], "ended by itself: exit status 1; its last words:\n")
	require.NoDirExists(t, filepath.Dir(c.Member(0).Dir()))
}

// TestConsulParent is the parent that TestConsulDiesWithParent kills.
func TestConsulParent(t *testing.T) {
	if os.Getenv(envParent) == "" {
		t.Skip("only as a child of TestConsulDiesWithParent")
	}
	c := servers.StartConsulWith(t, 1, &servers.ConsulOptions{Dev: true, Clients: 1})
	c.Member(1).Stop()
	fmt.Println("dir", filepath.Dir(c.Member(0).Dir()))
	fmt.Println("pids", c.Member(0).Pid(), c.Member(1).Pid())
	select {} // until killed
}

func TestConsulDiesWithParent(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: needs real servers")
	}
	if runtime.GOOS != "linux" {
		t.Skip("a frozen child outlives its parent here")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestConsulParent$", "-test.count=1")
	cmd.Env = append(os.Environ(), envParent+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var pids []int
	for lines := bufio.NewScanner(out); pids == nil && lines.Scan(); {
		if dir, ok := strings.CutPrefix(lines.Text(), "dir "); ok {
			defer os.RemoveAll(dir)
		}
		if strings.HasPrefix(lines.Text(), "pids ") {
			pids = make([]int, 2)
			_, err := fmt.Sscanf(lines.Text(), "pids %d %d", &pids[0], &pids[1])
			require.NoError(t, err)
		}
	}
	require.Len(t, pids, 2)
	for _, pid := range pids {
		require.NoError(t, syscall.Kill(pid, 0))
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	for _, pid := range pids {
		require.Eventually(t, func() bool { return gone(pid) }, 5*time.Second, time.Millisecond)
	}
}
