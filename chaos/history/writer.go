// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/session"
)

const suffix = ".jsonl"

// now is the clock of all histories.
var now = session.SystemClock().Now

// Now reads the clock that events are timed with.
func Now() time.Duration { return now() }

// A Writer writes the history of one process. It may be used by any goroutine.
type Writer struct {
	proc string
	ids  atomic.Uint64

	mu   sync.Mutex
	file *os.File
	err  error // the first that was met
}

// Create begins the history of a process in a folder. A process that comes
// back under the same name goes on with it.
func Create(dir, proc string) (*Writer, error) {
	f, err := os.OpenFile(filepath.Join(dir, proc+suffix), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("history of %s: %w", proc, err)
	}
	if err := cutBack(f); err != nil {
		return nil, errors.Join(fmt.Errorf("history of %s: %w", proc, err), f.Close())
	}
	w := &Writer{proc: proc, file: f}
	// Tries of earlier lives have smaller numbers.
	w.ids.Store(uint64(now()))
	return w, nil
}

// cutBack drops what stands behind the last end of a line: an earlier life has
// not written it to its end, and what follows would be no line either.
func cutBack(f *os.File) error {
	text, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if whole := bytes.LastIndexByte(text, '\n') + 1; whole < len(text) {
		return f.Truncate(int64(whole))
	}
	return nil
}

// Tell writes an event that happens now.
func (w *Writer) Tell(e Event) { w.TellAt(now(), e) }

// TellAt writes one that happened at t.
func (w *Writer) TellAt(t time.Duration, e Event) {
	e.T, e.Proc = t, w.proc
	line, err := json.Marshal(e)
	if err == nil {
		line = append(line, '\n')
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		_, err = w.file.Write(line)
	}
	if w.err == nil {
		w.err = err
	}
}

// Call tells that a wait for a place begins, and returns the number of the try.
func (w *Writer) Call(kind, name string) uint64 {
	id := w.ids.Add(1)
	w.Tell(Event{What: Call, Kind: kind, Name: name, ID: id})
	return id
}

// Close ends the history and returns the first error that any line met: a
// history with a hole proves nothing.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.file.Close(); w.err == nil {
		w.err = err
	}
	if w.err != nil {
		return fmt.Errorf("history of %s: %w", w.proc, w.err)
	}
	return nil
}
