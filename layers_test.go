// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package quorate_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// pictureBlock is the import picture: a fenced block of lines such as
// "mutex -> internal/line, session". Empty lines and their order are for readers.
var pictureBlock = regexp.MustCompile("(?s)```imports\n(.*?)```")

// picture compares the picture with the imports of the code, tests left out.
func picture(t *tree) []string {
	m := pictureBlock.FindStringSubmatch(t.texts["ARCHITECTURE.md"])
	if m == nil {
		return []string{"ARCHITECTURE.md: no block ```imports", t.drawing()}
	}
	drawn := map[string]bool{}
	for line := range strings.Lines(m[1]) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		from, to, _ := strings.Cut(line, "->")
		from = strings.TrimSpace(from)
		drawn[from] = true
		for what := range strings.SplitSeq(to, ",") {
			if what = strings.TrimSpace(what); what != "" {
				drawn[from+" -> "+what] = true
			}
		}
	}
	real := map[string]bool{}
	for _, p := range t.packages() {
		real[p.dir] = true
		for _, what := range t.own(p) {
			real[p.dir+" -> "+what] = true
		}
	}
	var found []string
	for _, edge := range slices.Sorted(maps.Keys(real)) {
		if !drawn[edge] {
			found = append(found, "ARCHITECTURE.md: not in the picture: "+edge)
		}
	}
	for _, edge := range slices.Sorted(maps.Keys(drawn)) {
		if !real[edge] {
			found = append(found, "ARCHITECTURE.md: only in the picture: "+edge)
		}
	}
	if found != nil {
		found = append(found, t.drawing())
	}
	return found
}

// drawing draws the picture: what stands on most layers first, so that
// everything that a package imports is below it.
func (t *tree) drawing() string {
	var height func(dir string) int
	height = func(dir string) int {
		h := 0
		for _, what := range t.own(t.pkgs[dir]) {
			h = max(h, 1+height(what))
		}
		return h
	}
	levels := map[int][]string{}
	for _, p := range t.packages() {
		line := p.dir
		if own := t.own(p); own != nil {
			line += " -> " + strings.Join(own, ", ")
		}
		levels[-height(p.dir)] = append(levels[-height(p.dir)], line)
	}
	var parts []string
	for _, h := range slices.Sorted(maps.Keys(levels)) {
		parts = append(parts, strings.Join(levels[h], "\n"))
	}
	return "\n```imports\n" + strings.Join(parts, "\n\n") + "\n```"
}

// own returns which packages of the module p imports, tests left out.
func (t *tree) own(p *pkg) []string {
	var own []string
	for what := range p.imports(false) {
		if t.pkgs[what] != nil {
			own = append(own, what)
		}
	}
	slices.Sort(own)
	return own
}

// A ban is on some imports among our own packages, whatever the picture says.
type ban struct {
	from, to func(dir string) bool
	used     bool // only for packages that users import
	tests    bool // for tests too
	why      string
}

var bans = []ban{
	{
		from: func(dir string) bool { return under(dir, "fence") },
		to:   func(dir string) bool { return !under(dir, "fence") },
		why:  "fence is for the resource's side, which has no part in the coordination",
	},
	{
		from: func(dir string) bool { return dir == "adapters" },
		to:   func(string) bool { return true },
		why:  "the contract stands on nothing",
	},
	{
		from: func(dir string) bool { return under(dir, "adapters") },
		to:   func(dir string) bool { return !under(dir, "adapters") && !under(dir, "internal") },
		why:  "an adapter stands below the session and everything that uses it",
	},
	{
		from: func(dir string) bool { return !under(dir, "adapters") },
		to:   func(dir string) bool { return dir != "adapters" && under(dir, "adapters") },
		used: true,
		why:  "primitives run on every backend: the application chooses the adapter",
	},
	{
		from: func(dir string) bool { return dir == "session" },
		to:   func(dir string) bool { return !under(dir, "adapters", "fence") },
		why:  "the session stands on the contract alone; primitives stand on it",
	},
	leaf("chaos"), leaf("examples"), leaf("bench"), leaf("internal/conformance"), leaf("internal/backends"), leaf("internal/interop"),
	leaf("internal/locked"), leaf("internal/failures"),
}

// leaf bans imports of what is free to import anything.
func leaf(root string) ban {
	return ban{
		from:  func(dir string) bool { return !under(dir, root) },
		to:    func(dir string) bool { return under(dir, root) },
		tests: true,
		why:   "nobody imports " + root,
	}
}

func layers(t *tree) []string {
	var found []string
	used := t.used()
	for _, b := range bans {
		for _, p := range t.packages() {
			if !b.from(p.dir) || b.used && !used[p.dir] {
				continue
			}
			for what, where := range p.imports(b.tests) {
				if t.pkgs[what] != nil && b.to(what) {
					found = append(found, fmt.Sprintf("%s: %s imports %s: %s", where, p.dir, what, b.why))
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// serverCode are imports that bring the code of a server with them.
func serverCode(what string) bool {
	return under(what, "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/tests/v3") ||
		under(what, "github.com/hashicorp/consul") && !under(what, "github.com/hashicorp/consul/api")
}

// servers finds the ways by which a package that users import, or a test of
// one, reaches the code of a server.
func servers(t *tree) []string {
	var found []string
	used := t.used()
	for _, p := range t.packages() {
		if !used[p.dir] || p.dir == "adapters/embedded" {
			continue
		}
		for what, where := range p.imports(true) {
			if way := t.wayToServer(what, map[string]bool{}); way != nil {
				found = append(found, fmt.Sprintf("%s: imports %s", where, strings.Join(way, ", which imports ")))
			}
		}
	}
	slices.Sort(found)
	return found
}

func (t *tree) wayToServer(what string, seen map[string]bool) []string {
	if serverCode(what) {
		return []string{what}
	}
	p := t.pkgs[what]
	if p == nil || seen[what] {
		return nil
	}
	seen[what] = true
	next := p.imports(false)
	for _, n := range slices.Sorted(maps.Keys(next)) {
		if way := t.wayToServer(n, seen); way != nil {
			return append([]string{what}, way...)
		}
	}
	return nil
}

func testingOnly(t *tree) []string {
	var found []string
	used := t.used()
	for _, p := range t.packages() {
		tests := under(p.dir, "chaos", "bench") || under(p.dir, "internal") && !used[p.dir]
		if tests || p.dir == "adapters/adaptertest" {
			continue
		}
		for what, where := range p.imports(false) {
			if under(what, "testing", "github.com/stretchr/testify", "go.uber.org/goleak", "pgregory.net/rapid") {
				found = append(found, where+": imports "+what)
			}
		}
	}
	slices.Sort(found)
	return found
}
