// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/history"
)

const envDir = "QUORATE_HISTORY_CHILD" // makes the binary write a history until it is killed

func TestMain(m *testing.M) {
	if dir, ok := os.LookupEnv(envDir); ok {
		w, err := history.Create(dir, "child")
		if err != nil {
			os.Exit(1)
		}
		for {
			id := w.Call(history.Mutex, "l")
			_, _ = os.Stdout.WriteString(".\n") // the line before is written
			w.Tell(history.Event{What: history.Failed, ID: id, Err: "a rather long reason, so that lines are long"})
		}
	}
	os.Exit(m.Run())
}

// TestRoundTrip: what was told is what is read, as one run.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	a, err := history.Create(dir, "a")
	require.NoError(t, err)
	n, err := history.Create(dir, history.Nemesis)
	require.NoError(t, err)
	id := a.Call(history.Mutex, "jobs/7")
	n.Tell(history.Event{What: history.Begin, Name: "cut", Value: "a"})
	n.Tell(history.Event{What: history.Effect, Name: "cut", Value: "a write was refused"})
	a.Tell(history.Event{What: history.Got, ID: id, Token: 5})
	a.TellAt(3, history.Event{What: history.State, Value: "lost"})
	n.Tell(history.Event{What: history.Stop, Name: "cut"})
	require.NoError(t, a.Close())
	require.NoError(t, n.Close())

	// Another life of the same process goes on with the file, under new numbers.
	a, err = history.Create(dir, "a")
	require.NoError(t, err)
	require.Greater(t, a.Call(history.Mutex, "jobs/7"), id)
	require.NoError(t, a.Close())
	require.Error(t, a.Close(), "what cannot be written is told")

	h, err := history.Load(dir)
	require.NoError(t, err)
	require.Len(t, h.Events, 7)
	require.Equal(t, history.State, h.Events[0].What, "sorted by time")
	places := h.Places()
	require.Len(t, places, 2)
	require.True(t, places[0].Got)
	require.Equal(t, "jobs/7", places[0].Name)
	require.Positive(t, places[0].Ended-places[0].Called)
	windows := h.Windows()
	require.Len(t, windows, 1)
	require.Equal(t, []string{"a write was refused"}, windows[0].Effects)
	require.Less(t, windows[0].From, windows[0].To)
}

// TestKilled: a process that is killed in the middle of writing has lost no
// line of those that it had written.
func TestKilled(t *testing.T) {
	for range 10 {
		dir := t.TempDir()
		self, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), envDir+"="+dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		in := bufio.NewScanner(out)
		told := 0
		for told < 100 && in.Scan() {
			told++
		}
		require.NoError(t, cmd.Process.Kill())
		for in.Scan() {
			told++
		}
		_ = cmd.Wait()
		h, err := history.Load(dir)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(h.Events), 2*told-1)
	}
}

// TestDamaged: a last line without an end is one that was never written; any
// other damage is an error.
func TestDamaged(t *testing.T) {
	good := `{"t":1,"p":"a","w":"call","i":1}` + "\n"
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"cut short":       {good + `{"t":2,"p"`, true},
		"not JSON":        {good + "nonsense\n" + good, false},
		"another process": {good + `{"t":2,"p":"b","w":"end"}` + "\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.jsonl"), []byte(c.text), 0o600))
			h, err := history.Load(dir)
			if !c.ok {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Len(t, h.Events, 1)
			require.Equal(t, time.Duration(1), h.Events[0].T)
		})
	}
	_, err := history.Load(t.TempDir())
	require.Error(t, err, "no history is none to judge")
}
