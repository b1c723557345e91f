// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/history"
)

// who is whom a nemesis is to hit.
type who int

const (
	holder who = iota // who has got most locks a moment ago that others wait for, and so keeps them for long
	waiter            // who waits and has fewest
	anybody
)

// aimed waits until all clients are at work, and returns the run with one client
// for the nemesis to pick.
func (r *run) aimed(at who) *run {
	if at == anybody {
		require.True(r, r.works())
		return r
	}
	const patience = 30 * time.Second
	for began := time.Now(); time.Since(began) < patience; pause(r.Context(), 50*time.Millisecond) {
		h, err := history.Load(r.dir)
		require.NoError(r, err)
		if p := r.choose(h, at); p != nil {
			own := *r
			own.procs = []*proc{p}
			return &own
		}
	}
	require.Fail(r, "nobody to hit", "nobody has a lock after %v", patience)
	return nil
}

func (r *run) choose(h *history.History, at who) (chosen *proc) {
	state, waits, has, fresh := map[string]string{}, map[string]int{}, map[string]int{}, map[string]int{}
	for _, e := range h.Events {
		if e.What == history.State {
			state[e.Proc] = e.Value
		}
	}
	now, held, places := history.Now(), 0, h.Places()
	wanted := map[string]map[string]bool{} // by whom, of each name
	for _, p := range places {
		if p.Kind == history.Mutex && p.Ended == 0 {
			if wanted[p.Name] == nil {
				wanted[p.Name] = map[string]bool{}
			}
			wanted[p.Name][p.Proc] = true
		}
	}
	for _, p := range places {
		switch {
		case p.Kind != history.Mutex:
		case p.Ended == 0:
			waits[p.Proc]++
		case p.Got && p.Over() == 0:
			has[p.Proc]++
			held++
			if others := len(wanted[p.Name]); now-p.Ended < r.ttl && others > 0 && !(others == 1 && wanted[p.Name][p.Proc]) {
				fresh[p.Proc]++
			}
		}
	}
	for _, p := range r.procs {
		if state[p.name] == "lost" || waits[p.name] == 0 && has[p.name] == 0 {
			return nil // it is not at work yet
		}
		switch {
		case at == holder && fresh[p.name] == 0, at == waiter && waits[p.name] == 0:
		case chosen == nil,
			at == holder && fresh[p.name] > fresh[chosen.name],
			at == waiter && has[p.name] < has[chosen.name]:
			chosen = p
		}
	}
	if held == 0 {
		return nil
	}
	return chosen
}
