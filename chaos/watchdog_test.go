// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
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

// states are what a client has told of its session by now.
func (p *proc) states() []history.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads()
	return p.told
}

// held are the names of the places that a client was told to have, and when
// last.
func (p *proc) held() map[string]time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads()
	return maps.Clone(p.last)
}

// reads reads a client's history on from where it was read to.
func (p *proc) reads() {
	f, err := os.Open(filepath.Join(p.run.dir, p.name+".jsonl"))
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.Seek(p.read, io.SeekStart); err != nil {
		return
	}
	for in := bufio.NewReader(f); ; {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return // what is not a whole line yet is read next time
		}
		p.read += int64(len(line))
		var e history.Event
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		switch e.What {
		case history.State:
			p.told = append(p.told, e)
		case history.Got:
			p.tries[e.ID] = e.Name
		case history.Checked:
			if name, ok := p.tries[e.ID]; ok {
				p.last[name] = max(p.last[name], e.T)
			}
		}
	}
}

// settles waits until every name that anybody has had is held again, or until
// that is overdue: what comes before it would hide that it is.
func (r *run) settles(since time.Duration) {
	for began := time.Now(); time.Since(began) < r.heal()+time.Second; pause(r.Context(), 100*time.Millisecond) {
		last := map[string]time.Duration{}
		for _, p := range r.procs {
			for name, t := range p.held() {
				last[name] = max(last[name], t)
			}
		}
		held := 0
		for _, t := range last {
			if t > since {
				held++
			}
		}
		if held == len(last) {
			return
		}
	}
}

// heal is within what time everything that is wanted is held again: the server's
// end of a lease, elections of its leader that begin it anew, and a second.
func (r *run) heal() time.Duration {
	if r.backend == "consul" {
		return 2*r.ttl + 6*time.Second
	}
	return r.ttl + 3*time.Second
}
