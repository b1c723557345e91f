// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consulbin

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// program writes a file that can be executed.
func program(t *testing.T, name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700))
	return path
}

func TestFindTakesWhatTheEnvironmentNames(t *testing.T) {
	path := program(t, "mine")
	t.Setenv(Env, path)
	t.Setenv("PATH", filepath.Dir(program(t, "consul")))
	got, err := Find(io.Discard)
	require.NoError(t, err)
	require.Equal(t, Program{path, Env}, got)
}

func TestFindInsistsOnTheEnvironment(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	t.Setenv("PATH", filepath.Dir(program(t, "consul")))
	for _, wrong := range []string{"/nonexistent/consul", t.TempDir(), plain} {
		t.Setenv(Env, wrong)
		_, err := Find(io.Discard)
		require.ErrorContains(t, err, "QUORATE_CONSUL names no program: ")
		require.ErrorContains(t, err, wrong)
	}
}

func TestFindLooksOnThePath(t *testing.T) {
	path := program(t, "consul")
	t.Setenv(Env, "")
	t.Setenv("PATH", filepath.Dir(path))
	got, err := Find(io.Discard)
	require.NoError(t, err)
	require.Equal(t, Program{path, "PATH"}, got)
}

func TestFindOutsideOfTheTree(t *testing.T) {
	t.Setenv(Env, "")
	t.Setenv("PATH", t.TempDir())
	t.Chdir(t.TempDir())
	_, err := Find(io.Discard)
	require.ErrorContains(t, err, "no QUORATE_CONSUL, no consul on the PATH, and none can be built: ")
	require.ErrorContains(t, err, "is not in the source tree")
}

func TestFindWithoutGo(t *testing.T) {
	t.Setenv(Env, "")
	t.Setenv("PATH", t.TempDir())
	_, err := Find(io.Discard)
	require.ErrorIs(t, err, exec.ErrNotFound)
	require.ErrorContains(t, err, "to repeat it: ")
}

func TestSource(t *testing.T) {
	dir, err := source()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	require.NoError(t, err)
	require.Contains(t, string(text), "\ntool "+pkg+"\n")
}
