// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// state waits until a client has told, after since, that its session is in that
// state, and returns why; "" if it does not within d.
func (p *proc) state(since time.Duration, state string, d time.Duration) string {
	for began := time.Now(); ; {
		for _, e := range p.states() {
			if e.T >= since && e.Value == state {
				return state + ": " + e.Err
			}
		}
		if time.Since(began) > d {
			return ""
		}
		pause(p.run.Context(), 50*time.Millisecond)
	}
}

// states are what a client has told of its session by now. Its history is read
// on from where it was read to.
func (p *proc) states() []history.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := os.Open(filepath.Join(p.run.dir, p.name+".jsonl"))
	if err != nil {
		return p.told
	}
	defer f.Close()
	if _, err := f.Seek(p.read, io.SeekStart); err != nil {
		return p.told
	}
	mark := []byte(`"w":"` + string(history.State) + `"`)
	for in := bufio.NewReader(f); ; {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return p.told // what is not a whole line yet is read next time
		}
		p.read += int64(len(line))
		var e history.Event
		if bytes.Contains(line, mark) && json.Unmarshal(line, &e) == nil {
			p.told = append(p.told, e)
		}
	}
}
