// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consulbin

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tree is a source tree like this one, in which Consul is a program that
// prints what, which nobody has built before.
func tree(t *testing.T, what string) (dir string) {
	if testing.Short() {
		t.Skip("-short: builds a program")
	}
	root := t.TempDir()
	dir = filepath.Join(root, "internal", "tools", "consul")
	for name, text := range map[string]string{
		filepath.Join(root, "go.mod"): "module github.com/quorate/quorate\n",
		filepath.Join(dir, "go.mod"):  fmt.Sprintf("module %s\n\ngo 1.26.0\n\ntool %s\n", pkg, pkg),
		filepath.Join(dir, "main.go"): fmt.Sprintf("package main\n\nimport %q\n\nfunc main() { command.Run() }\n", pkg+"/command"),
		filepath.Join(dir, "command", "command.go"): fmt.Sprintf("package command\n\nfunc Run() { %s } // of %s\n",
			what, root),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	// What somebody may have set for his own builds.
	t.Setenv("GOFLAGS", "-v -x")
	t.Setenv("GOWORK", filepath.Join(root, "none.work"))
	return dir
}

func TestBuild(t *testing.T) {
	dir := tree(t, `println("built")`)
	var out strings.Builder
	b := &builder{dir: dir, out: &out, every: time.Millisecond}
	path, err := b.build()
	require.NoError(t, err)
	said, err := exec.Command(path).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "built\n", string(said))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Regexp(t, `^consul: building github.com/hashicorp/consul from its source`, lines[0])
	require.Regexp(t, `^consul: built in \d+s: `+path+`$`, lines[len(lines)-1])
	require.Regexp(t, `(?m)^consul: \d+s: 0 modules downloaded$`, out.String())
	require.Regexp(t, `(?m)^consul: \d+s: 0 of at most \d\d packages compiled$`, out.String())
	require.Regexp(t, `(?m)^consul: \d+s: linking$`, out.String())

	out.Reset()
	b.patience = time.Minute
	again, err := b.build()
	require.NoError(t, err)
	require.Equal(t, path, again)
	require.Empty(t, out.String(), "it is in the cache")

	t.Setenv(Env, "")
	pwd := filepath.Join(dir, "command")
	t.Chdir(pwd)
	require.NoError(t, os.Mkdir("bin", 0o700))
	found, err := source()
	require.NoError(t, err)
	require.Equal(t, dir, found)
}

func TestBuildFails(t *testing.T) {
	dir := tree(t, "undefined()")
	for _, patience := range []time.Duration{0, time.Minute} {
		var out strings.Builder
		_, err := (&builder{dir: dir, out: &out, patience: patience, every: time.Minute}).build()
		require.ErrorContains(t, err, "undefined: undefined")
		want := "\nto repeat it: GOWORK=off GOFLAGS=-mod=readonly go -C " + dir + " tool -n consul"
		require.True(t, strings.HasSuffix(err.Error(), want), err)
		if patience == 0 {
			require.Contains(t, out.String(), "consul: failed after ")
		}
	}
}

func TestProgressCounts(t *testing.T) {
	p := newProgress(&strings.Builder{}, time.Minute)
	defer p.stop()
	p.line("go: downloading example.org/a v1.0.0")
	p.line("go: finding module for package example.org/a")
	require.Equal(t, "1 modules downloaded", p.String())
	p.expect(3)
	p.line("example.org/a")
	p.line("# example.org/b")
	require.Equal(t, "1 of at most 3 packages compiled", p.String())
}
