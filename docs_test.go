// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package quorate_test

import (
	"fmt"
	"go/ast"
	"go/doc"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// packageComments wants one per package, where readers look for it, and the
// root's to name every package that is meant for them.
func packageComments(t *tree) []string {
	var found []string
	root := ""
	if p := t.pkgs["."]; p != nil {
		for _, s := range p.code() {
			root += s.file.Doc.Text()
		}
	}
	for _, p := range t.packages() {
		home := []string{"doc.go"}
		switch {
		case p.name == "main":
			home = append(home, "main.go")
		case p.dir == ".":
			home = []string{"quorate.go"}
		}
		where := path.Join(p.dir, home[0])
		commented := false
		for _, s := range p.code() {
			text := s.file.Doc.Text()
			switch {
			case text == "":
			case !slices.Contains(home, path.Base(s.path)):
				found = append(found, s.path+": package comment, which belongs into "+where)
			case p.name != "main" && !strings.HasPrefix(text, "Package "+p.name+" "):
				found = append(found, s.path+": does not begin with \"Package "+p.name+" \"")
			default:
				commented = true
			}
		}
		if !commented {
			found = append(found, where+": no package comment")
		}
		if p.public() && p.dir != "." && !mentions(root, p.dir) {
			found = append(found, "quorate.go: does not name package "+p.dir)
		}
	}
	return found
}

// mentions says whether text has name as a word of its own.
func mentions(text, name string) bool {
	part := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '/' }
	return slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return !part(r) }), name)
}

// obvious are methods that do what everybody knows they do.
var obvious = []string{"String", "Error", "Unwrap"}

// comments wants one on every exported function, method and type, and on every
// exported constant and variable or their group. Fields may be left to the
// type's.
func comments(t *tree) []string {
	var found []string
	for _, p := range t.packages() {
		for _, s := range p.code() {
			for _, d := range s.file.Decls {
				for _, id := range undocumented(d) {
					found = append(found, fmt.Sprintf("%s: %s has no comment", t.at(id), id.Name))
				}
			}
		}
	}
	return found
}

func undocumented(d ast.Decl) (ids []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		method := d.Recv != nil
		if d.Doc == nil && d.Name.IsExported() && !(method && (!ast.IsExported(receiver(d)) || slices.Contains(obvious, d.Name.Name))) {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		if d.Doc != nil {
			return nil
		}
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Doc != nil || spec.Comment != nil {
					continue
				}
			case *ast.ValueSpec:
				if spec.Doc != nil || spec.Comment != nil {
					continue
				}
			}
			for _, id := range names(spec) {
				if id.IsExported() {
					ids = append(ids, id)
				}
			}
		}
	}
	return ids
}

// receiver returns the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) string {
	typ := d.Recv.List[0].Type
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.IndexListExpr:
			typ = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}

// shown are methods that need an example, beside the functions that begin
// something. Of alternatives one is enough.
var shown = map[string][]string{
	"session":  {"Session.Handle|Session.Send"},
	"mutex":    {"Mutex.Lock", "Mutex.TryLock", "Mutex.Do"},
	"election": {"Election.Lead", "Election.Campaign", "Election.Leader", "Election.Observe", "Term.Resign", "Term.Proclaim"},
}

func examples(t *tree) []string {
	var found []string
	for _, p := range t.packages() {
		if !p.public() {
			continue
		}
		var tests []*ast.File
		exported := false
		wanted := slices.Clone(shown[p.dir])
		for _, s := range p.sources {
			if s.test {
				tests = append(tests, s.file)
				continue
			}
			for _, d := range s.file.Decls {
				exported = exported || exports(d)
				if f, ok := d.(*ast.FuncDecl); ok && begins(f) {
					wanted = append(wanted, f.Name.Name)
				}
			}
		}
		var have []string
		for _, e := range doc.Examples(tests...) {
			if e.Output != "" || e.EmptyOutput {
				have = append(have, e.Name)
			}
		}
		if exported && len(have) == 0 {
			found = append(found, p.dir+": no Example with an output")
		}
		for _, want := range wanted {
			if !slices.ContainsFunc(strings.Split(want, "|"), func(alt string) bool { return shows(have, alt) }) {
				found = append(found, fmt.Sprintf("%s: no Example%s with an output", p.dir, strings.NewReplacer(".", "_", "|", " or Example").Replace(want)))
			}
		}
	}
	return found
}

// exports says whether a declaration has something exported.
func exports(d ast.Decl) bool {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return d.Recv == nil && d.Name.IsExported()
	case *ast.GenDecl:
		return slices.ContainsFunc(d.Specs, func(spec ast.Spec) bool {
			return slices.ContainsFunc(names(spec), func(id *ast.Ident) bool { return id.IsExported() })
		})
	}
	return false
}

// begins says whether users begin with this function. Those that take a
// *testing.T cannot be called by an example.
func begins(f *ast.FuncDecl) bool {
	if f.Recv != nil || len(testParams(f.Type)) > 0 {
		return false
	}
	return slices.ContainsFunc([]string{"New", "Open", "Start", "Run"}, func(verb string) bool {
		rest, ok := strings.CutPrefix(f.Name.Name, verb)
		return ok && !lower(rest)
	})
}

// shows says whether have has an example for a function or Type.Method, with or
// without a suffix such as in ExampleNew_verbatim.
func shows(have []string, want string) bool {
	want = strings.ReplaceAll(want, ".", "_")
	return slices.ContainsFunc(have, func(name string) bool {
		rest, ok := strings.CutPrefix(name, want)
		return ok && (rest == "" || strings.HasPrefix(rest, "_") && lower(rest[1:]))
	})
}

func lower(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLower(r)
}
