// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/history"
)

// run runs the command.
func run(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = judge(args, &out, &errs)
	return status, out.String(), errs.String()
}

// write writes the history of two clients that take turns with one lock; if
// they quarrel, the first is told yes while the second has it.
func write(t *testing.T, name string, quarrel bool) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "a run")
	require.NoError(t, os.Mkdir(dir, 0o755))
	const boot = 100 * time.Hour
	a, err := history.Create(dir, "a")
	require.NoError(t, err)
	b, err := history.Create(dir, "b")
	require.NoError(t, err)
	tell := func(w *history.Writer, at int, what history.What, token uint64) {
		w.TellAt(boot+time.Duration(at)*time.Millisecond,
			history.Event{What: what, Kind: history.Mutex, Name: name, ID: token, Token: token})
	}
	tell(a, 0, history.Call, 1)
	tell(a, 10, history.Got, 1)
	tell(a, 20, history.Checked, 1)
	tell(b, 0, history.Call, 2)
	tell(b, 1500, history.Got, 2)
	tell(b, 1600, history.Checked, 2)
	if quarrel {
		tell(a, 1550, history.Checked, 1)
	}
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	return dir
}

// TestGood: no violation, and no picture of porcupine's.
func TestGood(t *testing.T) {
	dir := write(t, "l", false)
	file, folder := filepath.Join(t.TempDir(), "run.html"), filepath.Join(t.TempDir(), "p", "q")
	status, stdout, stderr := run("-liveness", "-picture", file, "-porcupine", folder, dir)
	require.Equal(t, "0 violations in 6 events of 2 places under 0 nemeses\n", stdout)
	require.Empty(t, stderr)
	require.Equal(t, 0, status)
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(page), "No violation.")
	require.Contains(t, string(page), "Chaos run a run")
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, files)
}

// TestBad: each violation is one line, whatever the lock is called, and there
// are both pictures of it.
func TestBad(t *testing.T) {
	const name = "../jobs\n7\x1b[2J"
	dir := write(t, name, true)
	file, folder := filepath.Join(t.TempDir(), "run.html"), filepath.Join(t.TempDir(), "p")
	status, stdout, stderr := run("-picture", file, "-porcupine", folder, dir)
	require.Equal(t, []string{
		"overlap: mutex ../jobs 7\ufffd[2J: b with token 2 has it and a with token 1 believes so for 50ms more (1.500 s to 1.550 s)",
		"linear: mutex ../jobs 7\ufffd[2J: not linearizable (0.000 s to 1.600 s)",
		"2 violations in 7 events of 2 places under 0 nemeses",
	}, strings.Split(strings.TrimSuffix(stdout, "\n"), "\n"))
	require.Empty(t, stderr)
	require.Equal(t, 1, status)
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(page), `class="overlap"`)
	require.Contains(t, string(page), "go run ./chaos/judge &#39;"+dir+"&#39;")
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, "mutex-..%2Fjobs%0A7%1B%5B2J.html", files[0].Name())
}

// TestCannot: what cannot be judged or written is neither good nor bad.
func TestCannot(t *testing.T) {
	good, bad, nothing, damaged := write(t, "l", false), write(t, "l", true), t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(nothing, "a.jsonl"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "a.jsonl"), []byte("nonsense\n"), 0o600))
	inFile := filepath.Join(nothing, "a.jsonl", "x")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no folder":                {nil, "want one folder, got 0"},
		"two folders":              {[]string{good, good}, "want one folder, got 2"},
		"flag after folder":        {[]string{good, "-liveness"}, "flags come before it"},
		"unknown flag":             {[]string{"-live", good}, "-live"},
		"not there":                {[]string{filepath.Join(nothing, "none")}, "no history in"},
		"no event":                 {[]string{nothing}, "no event in"},
		"damaged":                  {[]string{damaged}, "line 1"},
		"picture not written":      {[]string{"-picture", inFile, bad}, "a.jsonl"},
		"no place for porcupine's": {[]string{"-porcupine", inFile, bad}, "a.jsonl"},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := run(c.args...)
			require.Equal(t, 2, status)
			require.Contains(t, stderr, c.want)
			require.True(t, strings.HasPrefix(stderr, "judge: "), stderr)
			if strings.Contains(c.want, "a.jsonl") {
				require.Contains(t, stdout, "2 violations", "the verdict is told all the same")
			} else {
				require.Empty(t, stdout)
			}
		})
	}
}

// TestHelp: asked for, it is no error.
func TestHelp(t *testing.T) {
	for _, flag := range []string{"-h", "--help"} {
		status, stdout, stderr := run(flag)
		require.Equal(t, 0, status)
		require.Empty(t, stderr)
		for _, text := range []string{"usage: judge", "-liveness", "-picture FILE", "-porcupine DIR", "Exit status: 0"} {
			require.Contains(t, stdout, text)
		}
	}
}

// TestAbout: a run that says what it was is judged and drawn as that.
func TestAbout(t *testing.T) {
	dir := write(t, "l", true)
	require.NoError(t, history.About{
		Backend: "etcd", Seed: 4711, Liveness: true, Again: "go test again",
		Found: []string{"run: client-1: it has not ended in order (1s to 1s)", "overlap: mutex l: of another time (1s to 2s)"},
	}.Store(dir))
	file := filepath.Join(t.TempDir(), "run.html")
	status, stdout, stderr := run("-picture", file, dir)
	require.Equal(t, bad, status, stderr)
	require.Contains(t, stdout, "run: client-1: it has not ended in order (1s to 1s), as the run has found\n3 violations in", "no history shows it")
	require.NotContains(t, stdout, "of another time", "this is judged anew")
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(page), "go test again")
	require.Contains(t, string(page), "4711")

	good := write(t, "l", false)
	require.NoError(t, history.About{Found: []string{"usage: clients: a client has used 999 MB (0s to 1s)"}}.Store(good))
	status, stdout, _ = run(good)
	require.Equal(t, bad, status, stdout)
	require.Contains(t, stdout, "999 MB")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "run.json"), []byte("{"), 0o600))
	status, _, stderr = run(dir)
	require.Equal(t, failed, status)
	require.NotEmpty(t, stderr)
}

// TestBounds: a run is judged by the bounds that it had. Nobody has the lock for
// six seconds after the nemesis, and one waits for it.
func TestBounds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	require.NoError(t, os.Mkdir(dir, 0o755))
	n, err := history.Create(dir, history.Nemesis)
	require.NoError(t, err)
	a, err := history.Create(dir, "a")
	require.NoError(t, err)
	const boot = time.Hour
	place := history.Event{Kind: history.Mutex, Name: "l", ID: 1, Token: 1}
	tell := func(w *history.Writer, at time.Duration, what history.What, e history.Event) {
		e.What = what
		w.TellAt(boot+at, e)
	}
	tell(n, time.Second, history.Begin, history.Event{Name: "kill", Value: "b"})
	tell(n, time.Second, history.Effect, history.Event{Name: "kill", Value: "dead"})
	tell(n, 2*time.Second, history.Stop, history.Event{Name: "kill", Value: "b"})
	tell(a, time.Second, history.Call, place)
	tell(a, 8*time.Second, history.Got, place)
	tell(a, 8*time.Second, history.Checked, place)
	tell(a, 9*time.Second, history.Checked, place)
	require.NoError(t, n.Close())
	require.NoError(t, a.Close())
	for heal, slow := range map[time.Duration]bool{0: false, 5 * time.Second: true} {
		require.NoError(t, history.About{Liveness: true, Heal: heal}.Store(dir))
		_, stdout, stderr := run(dir)
		require.Empty(t, stderr)
		require.Equal(t, slow, strings.Contains(stdout, "heal: mutex l"), "%v: %s", heal, stdout)
	}
}
