// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consulbin

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Env is the variable of the environment that names the program to use.
const Env = "QUORATE_CONSUL"

// Program is a Consul that can be started.
type Program struct {
	Path string
	From string // where it comes from, for people
}

// Find returns the Consul to use: the one that QUORATE_CONSUL names, else
// `consul` on the PATH, else the one that is pinned by internal/tools/consul,
// which it builds if Go's build cache has it not. That takes minutes, once;
// what it does then is written to progress.
func Find(progress io.Writer) (Program, error) {
	if name, ok := os.LookupEnv(Env); ok && name != "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return Program{}, fmt.Errorf("consulbin: %s names no program: %w", Env, err)
		}
		path, err = filepath.Abs(path)
		return Program{path, Env}, err
	}
	if path, err := exec.LookPath("consul"); err == nil {
		return Program{path, "PATH"}, nil
	}
	dir, err := source()
	if err != nil {
		return Program{}, fmt.Errorf("consulbin: no %s, no consul on the PATH, and none can be built: %w", Env, err)
	}
	b := &builder{dir: dir, out: progress, patience: 10 * time.Second, every: 15 * time.Second}
	path, err := b.build()
	if err != nil {
		return Program{}, fmt.Errorf("consulbin: %w", err)
	}
	return Program{path, "built from internal/tools/consul"}, nil
}

// source returns the directory of the module that pins Consul, found from the
// working directory, which is the package's when go test runs a test.
func source() (string, error) {
	const module = "module github.com/quorate/quorate"
	begin, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := begin; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		for line := range strings.Lines(string(text)) {
			if strings.TrimSpace(line) == module {
				return filepath.Join(dir, "internal", "tools", "consul"), nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in the source tree of this module", begin)
		}
	}
}
