// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package servers_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestMain(m *testing.M) { servers.Main(m) }

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestOneMember(t *testing.T) {
	begin := time.Now()
	e := servers.StartEtcd(t, 1)
	t.Logf("ready after %v", time.Since(begin))
	c, ctx := e.Client(t), within(t, 20*time.Second)

	_, err := c.Put(ctx, "a", "1")
	require.NoError(t, err)
	lease, err := c.Grant(ctx, 1)
	require.NoError(t, err)
	require.EqualValues(t, 1, lease.TTL, "fast timings allow leases of 1 s")
	i, err := e.Leader(ctx)
	require.NoError(t, err)
	require.Zero(t, i)

	t.Run("restart keeps the data", func(t *testing.T) {
		for _, end := range []func(){e.Member(0).Kill, e.Member(0).Terminate} {
			pid := e.Member(0).Pid()
			end()
			require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
			e.Member(0).Restart()
			require.NoError(t, e.Ready(ctx))
			require.NotEqual(t, pid, e.Member(0).Pid())
			got, err := c.Get(ctx, "a")
			require.NoError(t, err)
			require.Len(t, got.Kvs, 1)
			require.Equal(t, "1", string(got.Kvs[0].Value))
		}
	})
	t.Run("compact", func(t *testing.T) {
		rev, err := e.Compact(ctx)
		require.NoError(t, err)
		_, err = c.Get(ctx, "a", clientv3.WithRev(rev-1))
		require.ErrorContains(t, err, "compacted")
	})
}

func TestDefaultTimings(t *testing.T) {
	e := servers.StartEtcdWith(t, 1, &servers.Options{Heartbeat: 100 * time.Millisecond, Election: time.Second})
	lease, err := e.Client(t).Grant(within(t, 10*time.Second), 1)
	require.NoError(t, err)
	require.EqualValues(t, 2, lease.TTL)
}

func TestThreeMembers(t *testing.T) {
	begin := time.Now()
	e := servers.StartEtcd(t, 3)
	t.Logf("ready after %v", time.Since(begin))
	c, ctx := e.Client(t), within(t, 60*time.Second)
	_, err := c.Put(ctx, "a", "1")
	require.NoError(t, err)

	for _, fault := range []struct {
		name       string
		hit, mend  func(*servers.Member)
		stillLives bool
	}{
		{"killed", (*servers.Member).Kill, (*servers.Member).Restart, false},
		{"frozen", (*servers.Member).Stop, (*servers.Member).Cont, true},
		{"terminated", (*servers.Member).Terminate, (*servers.Member).Restart, false},
	} {
		t.Run("leader "+fault.name, func(t *testing.T) {
			old, err := e.Leader(ctx)
			require.NoError(t, err)
			victim := e.Member(old)
			fault.hit(victim)
			begin := time.Now()
			next, err := e.Leader(ctx)
			require.NoError(t, err)
			require.NotEqual(t, old, next)
			t.Logf("another leader after %v", time.Since(begin))

			survivors, err := clientv3.New(clientv3.Config{Endpoints: []string{e.Member(next).Endpoint()}})
			require.NoError(t, err)
			defer survivors.Close()
			_, err = survivors.Put(ctx, "a", fault.name)
			require.NoError(t, err)
			require.Equal(t, fault.stillLives, syscall.Kill(victim.Pid(), 0) == nil)

			fault.mend(victim)
			require.NoError(t, e.Ready(ctx))
			direct, err := clientv3.New(clientv3.Config{Endpoints: []string{victim.Endpoint()}})
			require.NoError(t, err)
			defer direct.Close()
			got, err := direct.Get(ctx, "a")
			require.NoError(t, err)
			require.Equal(t, fault.name, string(got.Kvs[0].Value))
		})
	}
}

// A member that nobody meant to end must fail the test; here a stand-in for it.
func TestUnexpectedExitIsReported(t *testing.T) {
	tb := &fakeTB{TB: t}
	e := servers.StartEtcd(tb, 1)
	p, err := os.FindProcess(e.Member(0).Pid())
	require.NoError(t, err)
	require.NoError(t, p.Kill())
	require.Eventually(t, func() bool { return e.Ready(within(t, time.Second)) != nil }, 5*time.Second, 10*time.Millisecond)
	require.Empty(t, tb.errors)
	tb.cleanup()
	require.Len(t, tb.errors, 1)
	require.Contains(t, tb.errors[0], "ended by itself: signal: killed")
}

const envParent = "QUORATE_TEST_PARENT"

// TestParent is the parent that TestChildrenDieWithParent kills.
func TestParent(t *testing.T) {
	if os.Getenv(envParent) == "" {
		t.Skip("only as a child of TestChildrenDieWithParent")
	}
	e := servers.StartEtcd(t, 3)
	e.Member(1).Stop() // it cannot notice that its input ends
	pids := make([]string, 0, 3)
	for _, m := range e.Members() {
		pids = append(pids, strconv.Itoa(m.Pid()))
	}
	fmt.Println("dir", filepath.Dir(e.Member(0).Dir()))
	fmt.Println("pids", strings.Join(pids, " "))
	select {} // until killed
}

func TestChildrenDieWithParent(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: needs real servers")
	}
	if runtime.GOOS != "linux" {
		t.Skip("a frozen child outlives its parent here")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestParent$", "-test.count=1")
	cmd.Env = append(os.Environ(), envParent+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var pids []int
	for lines := bufio.NewScanner(out); pids == nil && lines.Scan(); {
		if dir, ok := strings.CutPrefix(lines.Text(), "dir "); ok {
			defer os.RemoveAll(dir)
		}
		if rest, ok := strings.CutPrefix(lines.Text(), "pids "); ok {
			for f := range strings.FieldsSeq(rest) {
				pid, err := strconv.Atoi(f)
				require.NoError(t, err)
				pids = append(pids, pid)
			}
		}
	}
	require.Len(t, pids, 3)
	for _, pid := range pids {
		require.NoError(t, syscall.Kill(pid, 0))
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	begin := time.Now()
	for _, pid := range pids {
		require.Eventually(t, func() bool { return gone(pid) }, 5*time.Second, time.Millisecond)
	}
	t.Logf("all gone %v after their parent", time.Since(begin))
}

func TestMainTakesTurns(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: there is no lock")
	}
	other := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(within(t, 20*time.Second), os.Args[0], append(args, "-test.run=^$")...)
		for _, kv := range os.Environ() {
			if !strings.HasPrefix(kv, "QUORATE_TEST_LOCKED=") {
				cmd.Env = append(cmd.Env, kv)
			}
		}
		return cmd
	}
	require.NoError(t, other("-test.short").Run(), "it does not wait")

	cmd := other()
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stderr)
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), "waiting for another package's tests")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait(), "it was still waiting")
}

// gone treats a zombie as gone: whoever adopts orphans may take its time.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}

// fakeTB collects the errors of a test that is expected to fail.
type fakeTB struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (f *fakeTB) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }

func (f *fakeTB) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

func (f *fakeTB) cleanup() {
	for _, fn := range slices.Backward(f.cleanups) {
		fn()
	}
}
