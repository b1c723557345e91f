// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// state waits until a client has told, after since, that its session is in that
// state, and returns why; "" if it does not within d.
func (p *proc) state(since time.Duration, state string, d time.Duration) string {
	for began := time.Now(); ; {
		if e, ok := p.told(since, history.State, state); ok {
			return state + ": " + e.Err
		}
		if time.Since(began) > d {
			return ""
		}
		pause(p.run.Context(), 50*time.Millisecond)
	}
}

// told looks for an event in what a client has written by now.
func (p *proc) told(since time.Duration, what history.What, value string) (history.Event, bool) {
	f, err := os.Open(filepath.Join(p.run.dir, p.name+".jsonl"))
	if err != nil {
		return history.Event{}, false
	}
	defer f.Close()
	mark := `"w":"` + string(what) + `"`
	for in := bufio.NewScanner(f); in.Scan(); {
		if !strings.Contains(in.Text(), mark) {
			continue
		}
		var e history.Event
		if json.Unmarshal(in.Bytes(), &e) == nil && e.T >= since && e.Value == value {
			return e, true
		}
	}
	return history.Event{}, false
}

// connections counts those that the kernel has established to a link.
func (l *link) connections() (n int) {
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0
	}
	for _, p := range l.proxies {
		var port int
		if _, err := fmt.Sscanf(p.Listen[strings.LastIndex(p.Listen, ":")+1:], "%d", &port); err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 3 && f[3] == "01" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				n++
			}
		}
	}
	return n
}
