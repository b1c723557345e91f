// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package quorate_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const module = "github.com/quorate/quorate"

// A tree is the repository as the rules see it. All of it is parsed, for every
// platform, so a rule does not depend on where it runs and needs no go command.
type tree struct {
	fset    *token.FileSet
	texts   map[string]string // every text file
	sources []*source         // every Go file, those of nested modules too
	pkgs    map[string]*pkg   // those of the root module, by directory
}

// A source is one Go file.
type source struct {
	path, text string
	test       bool
	file       *ast.File
}

// A pkg is the package of one directory, with its tests.
type pkg struct {
	dir, name string
	sources   []*source
}

func load(fsys fs.FS) (*tree, error) {
	t := &tree{fset: token.NewFileSet(), texts: map[string]string{}, pkgs: map[string]*pkg{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary file of an editor or a test
		}
		if err != nil || d.IsDir() {
			if name == ".git" || name == "tmp" {
				return fs.SkipDir
			}
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		if err == nil && utf8.Valid(text) {
			t.texts[name] = string(text)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for name, text := range t.texts {
		if path.Ext(name) == ".go" && !ignored(name) {
			if err := t.parse(name, text); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(t.sources, func(a, b *source) int { return strings.Compare(a.path, b.path) })
	for _, s := range t.sources {
		t.add(s)
	}
	return t, nil
}

// ignored says whether the go command leaves the file out of every package.
func ignored(name string) bool {
	for seg := range strings.SplitSeq(name, "/") {
		if seg == "testdata" || strings.HasPrefix(seg, ".") || strings.HasPrefix(seg, "_") {
			return true
		}
	}
	return false
}

func (t *tree) parse(name, text string) error {
	file, err := parser.ParseFile(t.fset, name, text, parser.ParseComments)
	if err == nil {
		t.sources = append(t.sources, &source{name, text, strings.HasSuffix(name, "_test.go"), file})
	}
	return err
}

func (t *tree) add(s *source) {
	dir := path.Dir(s.path)
	if t.moduleOf(dir) != "." {
		return
	}
	p := t.pkgs[dir]
	if p == nil {
		p = &pkg{dir: dir}
		t.pkgs[dir] = p
	}
	if name := s.file.Name.Name; p.name == "" || !s.test {
		p.name = strings.TrimSuffix(name, "_test")
	}
	p.sources = append(p.sources, s)
}

// moduleOf returns the directory of the module that dir belongs to.
func (t *tree) moduleOf(dir string) string {
	for ; dir != "."; dir = path.Dir(dir) {
		if _, ok := t.texts[path.Join(dir, "go.mod")]; ok {
			return dir
		}
	}
	return "."
}

// packages returns the packages in the order of their directories.
func (t *tree) packages() []*pkg {
	var all []*pkg
	for _, dir := range slices.Sorted(maps.Keys(t.pkgs)) {
		all = append(all, t.pkgs[dir])
	}
	return all
}

// at prints where something is.
func (t *tree) at(n ast.Node) string {
	p := t.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// imports returns what the package imports, with or without its tests, each
// with the file that does. Our own packages are given by their directory.
func (p *pkg) imports(tests bool) map[string]string {
	all := map[string]string{}
	for _, s := range p.sources {
		if s.test && !tests {
			continue
		}
		for _, spec := range s.file.Imports {
			what, _ := strconv.Unquote(spec.Path.Value) // it was parsed
			if what == module {
				what = "."
			}
			what = strings.TrimPrefix(what, module+"/")
			if what != p.dir {
				all[what] = s.path
			}
		}
	}
	return all
}

// code returns the files that are not tests.
func (p *pkg) code() []*source {
	return slices.DeleteFunc(slices.Clone(p.sources), func(s *source) bool { return s.test })
}

// public says whether the package is meant to be imported by users.
func (p *pkg) public() bool {
	return p.name != "main" && !slices.Contains(strings.Split(p.dir, "/"), "internal") &&
		!under(p.dir, "chaos", "examples", "bench")
}

// under says whether dir is one of roots or below it.
func under(dir string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return dir == root || strings.HasPrefix(dir, root+"/")
	})
}

// used returns the packages that a user's program can come to import: the
// public ones and what they are made of.
func (t *tree) used() map[string]bool {
	used := map[string]bool{}
	var visit func(*pkg)
	visit = func(p *pkg) {
		if p == nil || used[p.dir] {
			return
		}
		used[p.dir] = true
		for what := range p.imports(false) {
			visit(t.pkgs[what])
		}
	}
	for _, p := range t.pkgs {
		if p.public() {
			visit(p)
		}
	}
	return used
}
