// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
)

// keepRun writes down of a history what concerns one lock, until shortly after the
// rules have found all that they must.
func keepRun(r *run, dir string, c conviction) {
	h, err := history.Load(r.dir)
	require.NoError(r, err)
	var names []string
	for _, v := range check.All(h, c.bounds) {
		if slices.Contains(c.rules, v.Rule) {
			names = append(names, strings.TrimPrefix(v.Name, history.Mutex+" "))
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		for until := time.Second; ; until += time.Second {
			short, whole := shorten(h, name, until)
			if allOf(check.All(short, c.bounds), c.rules) {
				tellAll(r, short, dir)
				return
			}
			if whole {
				break
			}
		}
	}
	r.Errorf("no lock alone is convicted by %v", c.rules)
}

// shorten leaves what concerns a lock in the first part of a history, and little
// of what was asked and written again and again. It says whether that is all.
func shorten(h *history.History, name string, until time.Duration) (short *history.History, whole bool) {
	type try struct {
		proc string
		id   uint64
	}
	of, seen := map[try]*history.Place{}, map[try]int{}
	for _, p := range h.Places() {
		of[try{p.Proc, p.ID}] = p
	}
	end, most := h.Events[0].T+until, uint64(0)
	var kept []history.Event
	for _, e := range h.Events {
		k := try{e.Proc, e.ID}
		p := of[k]
		switch {
		case e.T > end:
			return history.Of(kept...), false
		case p != nil && p.Kind == history.Mutex && p.Name != name:
			continue
		case e.What == history.Checked:
			if seen[k]++; seen[k]%10 != 1 && e.T != p.Last {
				continue
			}
		case e.Proc == history.Resource:
			k.id = e.Token
			if seen[k]++; e.Name != name || seen[k]%10 != 1 && e.Token >= most {
				continue
			}
			most = max(most, e.Token)
		case e.Proc == history.Server && !ofASession(e.Name):
			continue
		}
		kept = append(kept, e)
	}
	return history.Of(kept...), true
}

func ofASession(key string) bool {
	return strings.Contains(key, "/session/") || strings.Contains(key, "/inbox/")
}

// tellAll writes a history anew.
func tellAll(r *run, h *history.History, dir string) {
	writers := map[string]*history.Writer{}
	require.NoError(r, os.RemoveAll(dir)) // histories are gone on with
	require.NoError(r, os.MkdirAll(dir, 0o755))
	for _, e := range h.Events {
		w := writers[e.Proc]
		if w == nil {
			var err error
			w, err = history.Create(dir, e.Proc)
			require.NoError(r, err)
			writers[e.Proc] = w
		}
		w.TellAt(e.T, e)
	}
	for _, w := range slices.Collect(maps.Values(writers)) {
		require.NoError(r, w.Close())
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(r, err)
	r.Logf("%d events in %d files in %s", len(h.Events), len(files), dir)
}
