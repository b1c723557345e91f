// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/internal/servers/consulbin"
	"github.com/quorate/quorate/mutex"
)

// consulCommand: "consul lock PREFIX" takes the key PREFIX/.lock.
func consulCommand(w *consulBench) {
	program, err := consulbin.Find(os.Stderr)
	require.NoError(w.t, err)
	prefix := "interop/command"
	w.key = prefix + "/.lock"
	s := w.session()
	ours := w.lock(s)

	// The child says that it runs, and ends when its input does.
	cmd := exec.Command(program.Path, "lock", "-http-addr="+w.server.Endpoints()[0], "-pass-stdin", prefix, "echo held; cat >/dev/null")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(w.t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, cmd.Start())
	w.t.Cleanup(func() { _ = cmd.Process.Kill() })
	held, says := soon(func() (string, error) { return bufio.NewReader(out).ReadString('\n') })
	for began := time.Now(); !w.queues("Consul lock for"); <-time.After(20 * time.Millisecond) {
		require.Less(w.t, time.Since(began), patience, "it does not begin")
	}
	waits(w.t, says)
	require.NoError(w.t, ours.Check())
	require.NoError(w.t, ours.Unlock())

	require.Equal(w.t, "held\n", held(w.t))
	_, err = w.mutex(s).TryLock(w.within())
	require.ErrorIs(w.t, err, mutex.ErrLocked)
	got, done := soon(func() (*mutex.Hold, error) { return w.mutex(s).Lock(w.within()) })
	waits(w.t, done)
	require.NoError(w.t, in.Close())
	h := got(w.t)
	require.Greater(w.t, h.Token(), ours.Token())
	require.NoError(w.t, h.Unlock())
	_, _ = io.Copy(io.Discard, out)
	require.NoError(w.t, cmd.Wait())
}

// queues tells that a session of that name is there.
func (w *consulBench) queues(name string) bool {
	all, _, err := w.client.Session().List(nil)
	require.NoError(w.t, err)
	for _, s := range all {
		if strings.HasPrefix(s.Name, name) {
			return true
		}
	}
	return false
}
