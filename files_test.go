// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package quorate_test

import (
	"fmt"
	"go/ast"
	"go/version"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

const maxLines = 400

func length(t *tree) []string {
	var found []string
	for _, s := range t.sources {
		if n := strings.Count(s.text, "\n"); n > maxLines {
			found = append(found, fmt.Sprintf("%s: %d lines, limit %d", s.path, n, maxLines))
		}
	}
	return found
}

const spdx = "// Copyright The Quorate Authors\n// SPDX-License-Identifier: Apache-2.0\n"

func license(t *tree) []string {
	var found []string
	for _, s := range t.sources {
		if !strings.HasPrefix(s.text, spdx) {
			found = append(found, s.path+":1: does not start with the lines of the license")
		}
	}
	return found
}

// modules checks every go.mod: where it is, and what it asks of others.
func modules(t *tree) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(t.texts)) {
		dir := path.Dir(name)
		if path.Base(name) != "go.mod" || ignored(name) {
			continue
		}
		if dir != "." && !under(dir, "bench", "internal/tools") {
			found = append(found, name+": nested modules live under bench or internal/tools")
		}
		n := 0
		for line := range strings.Lines(t.texts[name]) {
			n++
			words := strings.Fields(line)
			if len(words) == 0 {
				continue
			}
			if slices.Contains(words, "=>") || strings.HasPrefix(words[0], "replace") {
				found = append(found, fmt.Sprintf("%s:%d: replaces a module", name, n))
			}
			if words[0] == "go" && tooNew(words[1], dir) {
				found = append(found, fmt.Sprintf("%s:%d: go %s, want at most 1.26.0 (nested modules: any 1.26)", name, n, words[1]))
			}
		}
	}
	return found
}

// tooNew says whether a go directive asks for more than it may. A nested module
// has no users, so what it stands on may choose the patch release.
func tooNew(v, dir string) bool {
	v = "go" + v
	if dir != "." {
		return version.Compare(version.Lang(v), "go1.26") > 0
	}
	return version.Compare(v, "go1.26.0") > 0
}

// registries are hosts that serve packages, in parts, so that this file may
// stand where they may not be named.
var registries = [][]string{
	{"proxy", "golang", "org"}, {"sum", "golang", "org"}, {"index", "golang", "org"}, {"goproxy", "io"}, {"goproxy", "cn"},
	{"registry", "npmjs", "org"}, {"pypi", "org"}, {"crates", "io"}, {"rubygems", "org"}, {"docker", "io"}, {"ghcr", "io"}, {"quay", "io"},
}

func hosts(t *tree) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(t.texts)) {
		for _, parts := range registries {
			host := strings.Join(parts, ".")
			if i := strings.Index(t.texts[name], host); i >= 0 {
				found = append(found, fmt.Sprintf("%s:%d: names %s", name, 1+strings.Count(t.texts[name][:i], "\n"), host))
			}
		}
	}
	return found
}

var (
	link       = regexp.MustCompile(`\[([^\]\n]*)\]\(([^)\s]+)\)`)
	identifier = regexp.MustCompile("^`(?:[A-Z]\\w*\\.|[a-z]\\w*\\.)?(\\w+)`$")
)

// links checks the links in Markdown that stay in the repository: the file is
// there, and if the link's text is an identifier and its target a Go file, then
// it is declared in that file.
func links(t *tree) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(t.texts)) {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(t.texts[name], -1) {
			target, _, _ := strings.Cut(m[2], "#")
			if target == "" || strings.Contains(target, ":") {
				continue
			}
			target = path.Join(path.Dir(name), target)
			i := slices.IndexFunc(t.sources, func(s *source) bool { return s.path == target })
			id := identifier.FindStringSubmatch(m[1])
			switch {
			case !t.exists(target):
				found = append(found, fmt.Sprintf("%s: %s: there is no %s", name, m[0], target))
			case i >= 0 && id != nil && !declares(t.sources[i].file, id[1]):
				found = append(found, fmt.Sprintf("%s: %s: %s does not declare %s", name, m[0], target, id[1]))
			}
		}
	}
	return found
}

// exists says whether there is a text file or a directory with one.
func (t *tree) exists(name string) bool {
	for file := range t.texts {
		if under(file, name) || name == "." {
			return true
		}
	}
	return false
}

func declares(file *ast.File, name string) bool {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == name {
				return true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if slices.ContainsFunc(names(spec), func(id *ast.Ident) bool { return id.Name == name }) {
					return true
				}
			}
		}
	}
	return false
}

// names returns what a spec of types, constants or variables declares.
func names(spec ast.Spec) []*ast.Ident {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		return []*ast.Ident{spec.Name}
	case *ast.ValueSpec:
		return spec.Names
	}
	return nil
}
