// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"slices"
	"sync"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/chaos/results"
)

// ruleRun is the rule that a run goes as it should, whatever its history says.
const ruleRun = "run"

// A blame is what was wrong with a run that no history tells.
type blame struct {
	mu    sync.Mutex
	found []check.Violation
}

func (b *blame) all() []check.Violation {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.found)
}

// wrong says that something is wrong with a run, which goes on nevertheless, until
// it is judged: a run that is not judged acquits.
func (r *run) wrong(name, format string, args ...any) {
	r.Helper()
	now := history.Now()
	v := check.Violation{Rule: ruleRun, Name: name, From: now, To: now, Text: fmt.Sprintf(format, args...)}
	r.Log(v)
	r.blame.mu.Lock()
	defer r.blame.mu.Unlock()
	r.blame.found = append(r.blame.found, v)
}

// brokeOff is what comes of a run that was not even judged.
func brokeOff(head results.Head, name string) *results.Result {
	r := results.New(head)
	r.Runs = 1
	r.Violations = append(r.Violations, check.Violation{Rule: ruleRun, Name: name, Text: "it broke off before it could be judged"}.String())
	return r
}
