// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/adapters/embedded"
	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
)

func TestWithoutDir(t *testing.T) {
	s := start(t, nil)
	c, ctx := s.Client(), within(t, 10*time.Second)
	_, err := c.Put(ctx, "a", "1")
	require.NoError(t, err)

	lease, err := c.Grant(ctx, 1)
	require.NoError(t, err)
	require.EqualValues(t, 2, lease.TTL, "as with an etcd of its own: Options.Election says so")

	members, err := c.MemberList(ctx)
	require.NoError(t, err)
	require.Len(t, members.Members, 1)
	require.Equal(t, s.Endpoints(), members.Members[0].ClientURLs, "what it advertises is where it is")
	require.NotContains(t, s.Endpoints()[0], ":0")
	require.NoError(t, c.Sync(ctx))
	_, err = c.Get(ctx, "a")
	require.NoError(t, err)

	require.DirExists(t, s.Dir())
	stop(t, s)
	require.NoDirExists(t, s.Dir())
	require.NoError(t, s.Close(), "again")
	require.Error(t, c.Ctx().Err(), "its client is closed with it")
}

func TestDurable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "us")
	s := start(t, &embedded.Options{Dir: dir})
	ctx := within(t, 30*time.Second)
	put, err := s.Client().Put(ctx, "a", "1")
	require.NoError(t, err)
	stop(t, s)

	s = start(t, &embedded.Options{Dir: dir})
	require.Equal(t, dir, s.Dir())
	got, err := s.Client().Get(ctx, "a")
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	require.Equal(t, put.Header.Revision, got.Kvs[0].CreateRevision)
	again, err := s.Client().Put(ctx, "a", "2")
	require.NoError(t, err)
	require.Equal(t, put.Header.Revision+1, again.Header.Revision, "revisions, and so tokens, go on")
}

// Another process holds the directory; then it is killed.
func TestDirOfAnotherProcess(t *testing.T) {
	e := servers.StartEtcd(t, 1)
	ctx := within(t, 30*time.Second)
	c := e.Client(t)
	_, err := c.Put(ctx, "a", "1")
	require.NoError(t, err)
	require.NoError(t, c.Close(), "so that no goroutine of it is taken for a leak")

	begin := time.Now()
	_, err = embedded.Start(ctx, &embedded.Options{Dir: e.Member(0).Dir()})
	require.ErrorIs(t, err, embedded.ErrInUse)
	require.ErrorContains(t, err, "embedded: Options.Dir: ")
	require.Less(t, time.Since(begin), time.Second)

	e.Member(0).Kill()
	s := start(t, &embedded.Options{Dir: e.Member(0).Dir()})
	got, err := s.Client().Get(ctx, "a")
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1, "what was acknowledged before the SIGKILL is there")

	_, err = embedded.Start(ctx, &embedded.Options{Dir: s.Dir()})
	require.ErrorIs(t, err, embedded.ErrInUse, "the same process cannot have it twice either")
}

func TestCloseIsBounded(t *testing.T) {
	s := start(t, nil)
	foreign, err := clientv3.New(clientv3.Config{Endpoints: s.Endpoints()})
	require.NoError(t, err)
	defer foreign.Close()
	ctx := within(t, 30*time.Second)
	watch := foreign.Watch(clientv3.WithRequireLeader(ctx), "a", clientv3.WithCreatedNotify())
	require.True(t, (<-watch).Created)

	begin := time.Now()
	closed := make(chan error, 3)
	for range cap(closed) {
		go func() { closed <- s.Close() }()
	}
	for range cap(closed) {
		require.NoError(t, <-closed)
	}
	t.Logf("closed after %v", time.Since(begin))
	require.Less(t, time.Since(begin), 2*time.Second, "although a watch is open")
}

func TestStartHonoursContext(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: needs a real server")
	}
	ended := errors.New("ended by the test")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(ended)
	_, err := embedded.Start(ctx, nil)
	require.ErrorIs(t, err, ended)

	// One of three never gets a majority.
	opts := &embedded.Options{Dir: t.TempDir(), Name: "a", Cluster: map[string]string{
		"a": "http://" + servers.Reserve(t), "b": "http://" + servers.Reserve(t), "c": "http://" + servers.Reserve(t),
	}}
	opts.ClientAddr = servers.Reserve(t)
	for range 2 { // the second time finds everything free again
		begin := time.Now()
		ctx, cancel = context.WithCancelCause(context.Background())
		timer := time.AfterFunc(500*time.Millisecond, func() { cancel(ended) })
		_, err = embedded.Start(ctx, opts)
		require.ErrorIs(t, err, ended)
		require.ErrorContains(t, err, "embedded: start: ")
		t.Logf("gave up after %v", time.Since(begin))
		require.Less(t, time.Since(begin), 3*time.Second)
		timer.Stop()
		l, err := net.Listen("tcp", opts.ClientAddr)
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}
}

func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: needs real servers")
	}
	leak := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		// etcd leaves the idle http connections between its members, with two
		// goroutines at each end, to their read timeout of 5 s.
		begin := time.Now()
		for goleak.Find(leak) != nil && time.Since(begin) < 8*time.Second {
		}
		goleak.VerifyNone(t, leak)
		t.Logf("last goroutine gone after %v", time.Since(begin))
	})
	cluster := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		cluster[name] = "http://" + servers.Reserve(t)
	}
	ctx, base := within(t, 60*time.Second), t.TempDir()
	started := make(chan *embedded.Server)
	begin := time.Now()
	for name := range cluster {
		opts := &embedded.Options{Name: name, Dir: filepath.Join(base, name), Cluster: cluster}
		go func() {
			s, err := embedded.Start(ctx, opts)
			if err != nil {
				t.Errorf("start %s: %v", opts.Name, err)
			}
			started <- s
		}()
	}
	var ss []*embedded.Server
	for range cluster {
		s := <-started
		require.NotNil(t, s)
		t.Cleanup(func() { stop(t, s) })
		ss = append(ss, s)
	}
	t.Logf("ready after %v", time.Since(begin))
	_, err := ss[0].Client().Put(ctx, "a", "1")
	require.NoError(t, err)
	for _, s := range ss {
		require.NoError(t, s.Client().Sync(ctx))
		require.Len(t, s.Client().Endpoints(), 3)
		got, err := s.Client().Get(ctx, "a")
		require.NoError(t, err)
		require.Len(t, got.Kvs, 1)
	}
	stop(t, ss[0])
	begin = time.Now()
	_, err = ss[1].Client().Put(ctx, "a", "2")
	require.NoError(t, err)
	t.Logf("next write after %v", time.Since(begin))

	// A member that forgot its votes is not let in again.
	_, err = embedded.Start(ctx, &embedded.Options{Name: filepath.Base(ss[0].Dir()), Dir: t.TempDir(), Cluster: cluster})
	require.ErrorContains(t, err, "already been bootstrapped")
}

// Three processes form one cluster and survive a SIGKILL of its leader.
func TestClusterOfProcesses(t *testing.T) {
	e := servers.StartEtcdWith(t, 3, &servers.Options{Heartbeat: 100 * time.Millisecond, Election: time.Second})
	c, ctx := e.Client(t), within(t, 60*time.Second)
	_, err := c.Put(ctx, "a", "1")
	require.NoError(t, err)
	i, err := e.Leader(ctx)
	require.NoError(t, err)
	e.Member(i).Kill()
	_, err = e.Leader(ctx)
	require.NoError(t, err)
	_, err = c.Put(ctx, "a", "2")
	require.NoError(t, err)
	e.Member(i).Restart()
	require.NoError(t, e.Ready(ctx))

	// A leader wants to pass its place on before it closes; here nobody can take it.
	i, err = e.Leader(ctx)
	require.NoError(t, err)
	for j, m := range e.Members() {
		if j != i {
			m.Stop()
		}
	}
	begin := time.Now()
	e.Member(i).Terminate() // fails the test if Close returns an error
	t.Logf("leader without followers closed after %v", time.Since(begin))
	require.Less(t, time.Since(begin), 8*time.Second)
}

const envSilent = "QUORATE_TEST_SILENT"

func TestSilentChild(t *testing.T) {
	if os.Getenv(envSilent) == "" {
		t.Skip("only as a child of TestSilent")
	}
	s := start(t, nil)
	_, err := s.Client().Put(within(t, 10*time.Second), "a", "1")
	require.NoError(t, err)
	stop(t, s)
}

func TestSilent(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: needs a real server")
	}
	var stderr strings.Builder
	cmd := exec.Command(os.Args[0], "-test.run=^TestSilentChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), envSilent+"=1")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Empty(t, stderr.String())
	require.Equal(t, "PASS\n", string(out))
}

func TestLogger(t *testing.T) {
	lines := &recorder{seen: map[slog.Level][]string{}}
	s := start(t, &embedded.Options{Logger: slog.New(lines)})
	stop(t, s)
	require.Contains(t, lines.seen[slog.LevelDebug], "closed etcd server")
	require.Empty(t, lines.seen[slog.LevelInfo])
	// What etcd says at every end; without closing in log.go it is an error.
	const always = "setting up serving from embedded etcd failed."
	require.Contains(t, lines.seen[slog.LevelDebug], always)
	require.NotContains(t, lines.seen[slog.LevelError], always)
}

// The context ends while etcd is in the middle of its start, wherever that is.
func TestStartAbandoned(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: needs a real server")
	}
	leak := goleak.IgnoreCurrent()
	dir := t.TempDir()
	for ms := range 12 {
		ctx := within(t, time.Duration(ms)*3*time.Millisecond)
		s, err := embedded.Start(ctx, &embedded.Options{Dir: dir})
		if err == nil {
			stop(t, s)
			continue
		}
		require.ErrorIs(t, err, context.DeadlineExceeded)
		for {
			s, err := embedded.Start(within(t, 20*time.Second), &embedded.Options{Dir: dir})
			if errors.Is(err, embedded.ErrInUse) {
				time.Sleep(time.Millisecond) // sleep: asks again while the first is still being torn down
				continue
			}
			require.NoError(t, err)
			stop(t, s)
			break
		}
	}
	goleak.VerifyNone(t, leak)
}
