// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// envRun makes the test binary the program itself.
const envRun = "QUORATE_QUICKSTART_TEST"

func TestMain(m *testing.M) {
	if dir, ok := os.LookupEnv(envSecure); ok {
		os.Exit(serveSecure(dir))
	}
	if _, ok := os.LookupEnv(envRun); ok {
		main()
	}
	// These tests wait for leases far more than they compute, and each has
	// servers of its own. The command line can say otherwise.
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = f.Value.Set("5")
	}
	servers.Main(m)
}

// A show is a run of the program as a child.
type show struct {
	t     *testing.T
	cmd   *exec.Cmd
	tmp   string
	begin time.Time
	ended chan struct{}

	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{} // closed and replaced
}

func (s *show) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	close(s.written)
	s.written = make(chan struct{})
	return len(b), nil
}

func (s *show) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func playAs(t *testing.T, env map[string]string, args ...string) *show {
	t.Helper()
	s := prepare(t, env, args...)
	s.start()
	return s
}

func prepare(t *testing.T, env map[string]string, args ...string) *show {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: starts servers and processes")
	}
	s := &show{t: t, cmd: exec.Command(os.Args[0], args...), tmp: t.TempDir(), begin: time.Now(),
		ended: make(chan struct{}), written: make(chan struct{})}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ETCDCTL_") && !strings.HasPrefix(v, "CONSUL_") {
			s.cmd.Env = append(s.cmd.Env, v)
		}
	}
	s.cmd.Env = append(s.cmd.Env, envRun+"=1", "TMPDIR="+s.tmp)
	for k, v := range env {
		s.cmd.Env = append(s.cmd.Env, k+"="+v)
	}
	s.cmd.Stdout, s.cmd.Stderr = s, s
	return s
}

func (s *show) start() {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Start())
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	s.t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
		s.t.Logf("output:\n%s", s.output())
	})
}

// sees waits until the output has the text.
func (s *show) sees(text string) {
	s.t.Helper()
	limit := time.After(40 * time.Second)
	for {
		s.mu.Lock()
		found, written := strings.Contains(s.text.String(), text), s.written
		s.mu.Unlock()
		if found {
			return
		}
		select {
		case <-written:
		case <-s.ended:
			require.Contains(s.t, s.output(), text, "ended early")
			return
		case <-limit:
			require.FailNow(s.t, "not seen in time", text)
		}
	}
}

// ends waits for the end and checks the exit status, that no worker is left
// and that no directory is.
func (s *show) ends(within time.Duration, status int) {
	s.t.Helper()
	begin := time.Now()
	select {
	case <-s.ended:
	case <-time.After(within):
		require.FailNow(s.t, "not ended in time", within.String())
	}
	s.t.Logf("ended after %v, %v after the start", time.Since(begin).Round(ms), time.Since(s.begin).Round(ms))
	require.Equal(s.t, status, s.cmd.ProcessState.ExitCode())
	for _, pid := range s.pids() {
		require.ErrorIs(s.t, syscall.Kill(pid, 0), syscall.ESRCH)
	}
	left, err := os.ReadDir(s.tmp)
	require.NoError(s.t, err)
	require.Empty(s.t, left)
}

var workerPids = regexp.MustCompile(`w\d \(pid (\d+)\)`)

func (s *show) pids() []int {
	var pids []int
	for line := range strings.Lines(s.output()) {
		if strings.Contains(line, " workers ") {
			for _, m := range workerPids.FindAllStringSubmatch(line, -1) {
				pid, _ := strconv.Atoi(m[1]) // digits
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// clean checks that no key of a run is left on a cluster. A lease that was
// being granted when its worker was told to end may take its time.
func clean(t *testing.T, c *clientv3.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	keys, err := c.Get(ctx, "quickstart", clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.Zero(t, keys.Count)
	require.Eventually(t, func() bool {
		leases, err := c.Leases(ctx)
		return err == nil && len(leases.Leases) == 0
	}, 6*time.Second, 20*ms)
}

var allGood = regexp.MustCompile(`\nVERDICT: ok - one leader at a time, 0 lost updates, \d+ late writes? refused, 0 keys left\n$`)

func TestInside(t *testing.T) {
	t.Parallel()
	s := playAs(t, nil)
	s.ends(40*time.Second, exitOK)
	require.Regexp(t, allGood, s.output())
	require.Len(t, s.pids(), 3)
	for _, part := range []string{"a lease lasts 3s here", "SIGKILL to ", "SIGSTOP to ", "SIGCONT to ", "its write is refused", "its next Check fails",
		"its context has ended", "no key was left"} {
		require.Contains(t, s.output(), part)
	}
	require.Equal(t, 3, strings.Count(s.output(), ": nobody led for "))
	for line := range strings.Lines(s.output()) {
		require.LessOrEqual(t, len(line), 110, line)
	}
}

func TestWithoutFence(t *testing.T) {
	t.Parallel()
	s := playAs(t, nil, "-no-fence")
	s.ends(40*time.Second, exitFailed)
	require.Regexp(t, `\nVERDICT: FAILED - .*a late write of w\d to the schedule was accepted .*no late write of w\d was refused\n$`, s.output())
}

// TestOneMemberDown runs on a cluster of the user that is not at its best.
func TestOneMemberDown(t *testing.T) {
	t.Parallel()
	e := servers.StartEtcd(t, 3)
	e.Member(0).Kill()
	s := playAs(t, nil, "-etcd", strings.Join(e.Endpoints(), ","))
	s.ends(40*time.Second, exitOK)
	require.Regexp(t, allGood, s.output())
	require.Contains(t, s.output(), "no answer from "+e.Member(0).Endpoint()+": dial tcp")
	c, err := clientv3.New(clientv3.Config{Endpoints: e.Endpoints()[1:]})
	require.NoError(t, err)
	defer c.Close()
	clean(t, c)
	e.Member(0).Restart()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(t, e.Ready(ctx), "a run leaves the servers alone")
}

// TestReaderGone is "quickstart | head".
func TestReaderGone(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	s := prepare(t, nil)
	s.cmd.Stdout = w
	s.start()
	require.NoError(t, w.Close())
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		_, _ = s.Write(append(lines.Bytes(), '\n'))
		if strings.Contains(lines.Text(), " leads ") {
			break
		}
	}
	require.NoError(t, r.Close())
	require.Len(t, s.pids(), 3)
	s.ends(10*time.Second, 128+int(syscall.SIGPIPE))
}

// TestInterrupt ends a run on servers of the user at several moments: when all
// work, when one is dead whose lease still runs, and when one is frozen.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	e := servers.StartEtcd(t, 1)
	for _, moment := range []string{"workers", "leads with token", "SIGKILL to ", "SIGSTOP to "} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			if sig == syscall.SIGTERM && moment != "SIGSTOP to " {
				continue
			}
			t.Run(moment+sig.String(), func(t *testing.T) {
				s := playAs(t, nil, "-etcd", e.Endpoints()[0])
				s.sees(moment)
				require.NoError(t, s.cmd.Process.Signal(sig))
				s.ends(5*time.Second, 128+int(sig))
				require.NotContains(t, s.output(), "VERDICT")
				clean(t, e.Client(t))
			})
		}
	}
	t.Run("an etcd inside", func(t *testing.T) {
		s := playAs(t, nil)
		s.sees("leads with token")
		require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
		s.ends(5*time.Second, 130)
	})
}

// TestKilled kills the program itself: no worker survives it, frozen or not.
func TestKilled(t *testing.T) {
	t.Parallel()
	s := playAs(t, nil)
	s.sees("SIGSTOP to ")
	pids := s.pids()
	require.Len(t, pids, 3)
	require.NoError(t, s.cmd.Process.Kill())
	for _, pid := range pids {
		require.Eventually(t, func() bool { return gone(pid) }, 8*time.Second, 10*ms)
	}
}

// gone treats a zombie as gone: whoever adopts orphans may take its time.
func gone(pid int) bool {
	if runtime.GOOS != "linux" {
		return syscall.Kill(pid, 0) != nil
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err != nil || strings.HasPrefix(rest, "Z")
}

// TestWorkerEndsByItself: the program must not take that for part of the show.
func TestWorkerEndsByItself(t *testing.T) {
	t.Parallel()
	s := playAs(t, nil)
	s.sees("leads with token")
	require.NoError(t, syscall.Kill(s.pids()[0], syscall.SIGKILL))
	s.ends(10*time.Second, exitFailed)
	require.Regexp(t, `\nVERDICT: FAILED - the run broke off: worker w1 \(pid \d+\) ended by itself: signal: killed`, s.output())
}

// silentPort returns an address that takes connections and says nothing.
func silentPort(t *testing.T) string {
	t.Helper()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	return silent.Addr().String()
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	silent := silentPort(t)
	closed := servers.Reserve(t)
	runs := make(map[string]*show) // at once: all they do is wait
	for _, ep := range []string{"http://" + closed, "https://" + closed, "http://" + silent, "https://" + silent} {
		runs[ep] = playAs(t, map[string]string{"ETCDCTL_ENDPOINTS": ep})
	}
	for ep, s := range runs {
		s.ends(10*time.Second, exitFailed)
		require.Contains(t, s.output(), "no etcd answers at "+ep+" (from ETCDCTL_ENDPOINTS)")
	}
	s := playAs(t, nil, "-etcd", "nonsense")
	s.ends(10*time.Second, exitUsage)
	s = playAs(t, nil, "-consul", "nonsense")
	s.ends(10*time.Second, exitUsage)
}
