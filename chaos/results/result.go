// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package results

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
)

// A Head says what a run was.
type Head struct {
	Backend string        `json:"backend"`
	Profile string        `json:"profile"` // short, ci, soak
	Seed    uint64        `json:"seed"`
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"took"` // nanoseconds
	TTL     time.Duration `json:"ttl"`  // of the clients' sessions
	Clients int           `json:"clients"`
	Servers string        `json:"servers"` // kind and version
	Machine string        `json:"machine"`
	Command string        `json:"command"` // that ran it
}

// A Result is what one run, or many of one head, came to.
type Result struct {
	Head
	Runs       int               `json:"runs"`
	Known      []Known           `json:"known"` // all nemeses that there are for the backend
	Nemeses    map[string]*Cell  `json:"nemeses"`
	Missing    map[string]string `json:"missing,omitempty"` // nemesis: why it could not be
	Violations []string          `json:"violations"`        // all of them, as text
	Peak       Usage             `json:"peak"`              // of any client
}

// A Known nemesis is one that there is, whether a run had it or not.
type Known struct {
	Name string `json:"name"`
	Mode string `json:"mode"` // liveness: it leaves a quorum, so progress is asserted; safety
}

// A Cell is one nemesis on one backend.
type Cell struct {
	Faults     int            `json:"faults"`
	Effective  int            `json:"effective"`
	Operations map[string]int `json:"operations"` // by workload
	Heal       time.Duration  `json:"heal"`       // from its end until all that was held again was, at most
	Violations map[string]int `json:"violations,omitempty"`
}

// Usage is what a process has used of its machine.
type Usage struct {
	Memory int64 `json:"memory"` // resident, bytes
	Files  int   `json:"files"`  // open descriptors
}

// Max takes another measurement into account.
func (u *Usage) Max(o Usage) {
	u.Memory, u.Files = max(u.Memory, o.Memory), max(u.Files, o.Files)
}

// Workloads are the uses of primitives that are counted, in the page's order.
var Workloads = []string{history.Session, history.Mutex, history.Election, Observer}

// Observer is the workload that looks on at elections.
const Observer = "observer"

// New returns a result of no run.
func New(head Head) *Result {
	return &Result{Head: head, Nemeses: map[string]*Cell{}, Missing: map[string]string{}, Violations: []string{}}
}

// Of counts one run.
func Of(h *history.History, found []check.Violation, head Head) *Result {
	r := New(head)
	r.Runs = 1
	windows := h.Windows()
	slices.SortStableFunc(windows, func(a, b *history.Window) int { return cmp.Compare(a.From, b.From) })
	// at returns the nemesis in whose time t is, or nil.
	at := func(t time.Duration) *Cell {
		i, same := slices.BinarySearchFunc(windows, t, func(w *history.Window, t time.Duration) int { return cmp.Compare(w.From, t) })
		if !same {
			i--
		}
		if i < 0 {
			return nil
		}
		return r.cell(windows[i].Name)
	}
	for _, w := range windows {
		c := r.cell(w.Name)
		c.Faults++
		if len(w.Effects) > 0 {
			c.Effective++
		}
	}
	type try struct {
		proc string
		id   uint64
	}
	asks := map[try]bool{} // of sessions
	for _, e := range h.Events {
		if e.Kind == history.Session {
			asks[try{e.Proc, e.ID}] = true
		}
		workload := ""
		switch {
		case e.What == history.Saw:
			workload = Observer
		case e.What == history.Checked && asks[try{e.Proc, e.ID}]:
			workload = history.Session
		default:
			continue
		}
		if c := at(e.T); c != nil {
			c.Operations[workload]++
		}
	}
	var names []*history.Place
	for _, p := range h.Places() {
		if p.Kind == history.Session {
			continue
		}
		names = append(names, p)
		if c := at(p.Ended); p.Ended > 0 && c != nil {
			c.Operations[p.Kind]++
		}
	}
	for i, w := range windows {
		next := h.Events[len(h.Events)-1].T + 1
		if i+1 < len(windows) {
			next = windows[i+1].From
		}
		c := r.cell(w.Name)
		c.Heal = max(c.Heal, heal(names, w.To, next))
	}
	for _, v := range found {
		r.Violations = append(r.Violations, v.String())
		if c := at(v.From); c != nil {
			if c.Violations == nil {
				c.Violations = map[string]int{}
			}
			c.Violations[v.Rule]++
		}
	}
	return r
}

// heal is how long it took until the last of the names was held again, before
// something else went wrong or the history ended. One that was not, although somebody
// wanted it when that came, has taken until then at least. Nobody may want the others.
func heal(places []*history.Place, over, next time.Duration) (longest time.Duration) {
	if over == 0 {
		return 0
	}
	first := map[[2]string]time.Duration{}
	for _, p := range places {
		name, took := [2]string{p.Kind, p.Name}, max(next-over, 0)
		switch {
		case p.Got && p.First > 0 && p.Last >= over && p.First < next:
			took = max(p.First-over, 0)
		case p.Called == 0 || p.Called >= next || p.Ended > 0 && p.Ended < next || p.Canceled > 0 && p.Canceled < next:
			continue // it does not want it then
		}
		if t, ok := first[name]; !ok || took < t {
			first[name] = took
		}
	}
	for _, t := range first {
		longest = max(longest, t)
	}
	return longest
}

func (r *Result) cell(nemesis string) *Cell {
	c := r.Nemeses[nemesis]
	if c == nil {
		c = &Cell{Operations: map[string]int{}}
		r.Nemeses[nemesis] = c
	}
	return c
}

// Add adds other runs of the same kind.
func (r *Result) Add(o *Result) {
	r.Runs += o.Runs
	r.Took += o.Took
	r.Peak.Max(o.Peak)
	r.Violations = append(r.Violations, o.Violations...)
	for name, why := range o.Missing {
		r.Missing[name] = why
	}
	for name, c := range o.Nemeses {
		to := r.cell(name)
		to.Faults += c.Faults
		to.Effective += c.Effective
		to.Heal = max(to.Heal, c.Heal)
		for w, n := range c.Operations {
			to.Operations[w] += n
		}
		for rule, n := range c.Violations {
			if to.Violations == nil {
				to.Violations = map[string]int{}
			}
			to.Violations[rule] += n
		}
	}
}

// Faults counts all of them, and those that had an effect.
func (r *Result) Faults() (all, effective int) {
	for _, c := range r.Nemeses {
		all += c.Faults
		effective += c.Effective
	}
	return all, effective
}

// Operations counts those of all workloads under all nemeses.
func (r *Result) Operations() (n int) {
	for _, c := range r.Nemeses {
		for _, of := range c.Operations {
			n += of
		}
	}
	return n
}

// Store writes a result to a file of its own in a folder.
func (r *Result) Store(dir string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%s-%d-%s.json", r.Profile, r.Backend, r.Seed, r.Began.UTC().Format("20060102T150405"))
	return os.WriteFile(filepath.Join(dir, name), append(text, '\n'), 0o644)
}

// Load reads all results of a folder, by the time at which they began.
func Load(dir string) ([]*Result, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no results in %s", dir)
	}
	var all []*Result
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		r := New(Head{})
		if err := json.Unmarshal(text, r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *Result) int { return a.Began.Compare(b.Began) })
	return all, nil
}
