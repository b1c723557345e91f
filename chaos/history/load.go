// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A History is a whole run. Events are sorted by time; those of one process
// that have the same time keep their order.
type History struct {
	Events []Event
	procs  map[string]bool // that have a history, if an empty one
}

// Has says whether a process has a history, be it without an event.
func (h *History) Has(proc string) bool { return h.procs[proc] }

// Load reads all histories of a folder.
func Load(dir string) (*History, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no history in %s", dir)
	}
	h := &History{procs: map[string]bool{}}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		proc := strings.TrimSuffix(filepath.Base(file), suffix)
		h.procs[proc] = true
		err = h.read(f, proc)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	h.sort()
	return h, nil
}

// Of returns the history that these events are, in any order.
func Of(events ...Event) *History {
	h := &History{Events: slices.Clone(events), procs: map[string]bool{}}
	for _, e := range events {
		h.procs[e.Proc] = true
	}
	h.sort()
	return h
}

func (h *History) sort() {
	slices.SortStableFunc(h.Events, func(a, b Event) int { return cmp.Compare(a.T, b.T) })
}

// read reads one process's history. The last line of a process that was killed
// may lack its end; any other that cannot be read is an error.
func (h *History) read(r io.Reader, proc string) error {
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if e.Proc != proc {
			return fmt.Errorf("line %d is of %q", n, e.Proc)
		}
		h.Events = append(h.Events, e)
	}
}
