// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// machine is what the absolute figures depend on.
type machine struct {
	date, processor, system, goVersion string
	loadBefore, loadAfter              string
}

// describeMachine tells all but what only the end knows.
// What a system other than Linux does not tell in a file is "unknown".
func describeMachine() machine {
	return machine{
		date:       time.Now().UTC().Format("2006-01-02 15:04 MST"),
		processor:  fmt.Sprintf("%s, %d cores", processor(), runtime.NumCPU()),
		system:     fmt.Sprintf("%s/%s, kernel %s", runtime.GOOS, runtime.GOARCH, file("/proc/sys/kernel/osrelease")),
		goVersion:  runtime.Version(),
		loadBefore: load(),
	}
}

// moduleVersion returns which version of a module this program has.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == path {
				return dep.Version
			}
		}
	}
	return "unknown"
}

func processor() string {
	for line := range strings.Lines(file("/proc/cpuinfo")) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// load is the mean number of busy threads in the last minute. Ours are among them.
func load() string {
	one, _, _ := strings.Cut(file("/proc/loadavg"), " ")
	return one
}

func file(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}
