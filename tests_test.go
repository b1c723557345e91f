// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package quorate_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// sleeps finds time.Sleep in tests that do not run in virtual time.
func sleeps(t *tree) []string {
	var found []string
	for _, s := range t.sources {
		virtual := slices.ContainsFunc(s.file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
		if !s.test || virtual {
			continue
		}
		explained := map[int]bool{} // lines
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				if strings.HasPrefix(c.Text, "// sleep: ") {
					line := t.fset.Position(c.Pos()).Line
					explained[line], explained[line+1] = true, true
				}
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && isName(sel, "time", "Sleep") && !explained[t.fset.Position(n.Pos()).Line] {
				found = append(found, t.at(n)+": time.Sleep")
			}
			return true
		})
	}
	return found
}

func isName(e ast.Expr, pkg, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == pkg
}

// lacks are how a reason may begin for which a test is skipped elsewhere than
// under -short: the platform cannot do what the test needs, or the test is the
// body of a child process.
var lacks = []string{
	"only as a child of ",
	"this kernel cannot ",
	"a frozen child outlives its parent here",
	"the clock cannot be set: ",
}

// skips finds tests that are skipped without need, or without a reason.
func skips(t *tree) []string {
	var found []string
	for _, s := range t.sources {
		if !s.test {
			continue
		}
		var around []ast.Node // from the file to n
		params := []string{}  // names of *testing.T and the like in this file
		ast.Inspect(s.file, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncType); ok {
				params = append(params, testParams(f)...)
			}
			return true
		})
		ast.Inspect(s.file, func(n ast.Node) bool {
			if n == nil {
				around = around[:len(around)-1]
				return true
			}
			around = append(around, n)
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && slices.Contains(params, id.Name) {
				if bad := judgeSkip(call, around); bad != "" {
					found = append(found, fmt.Sprintf("%s: %s.%s %s", t.at(n), id.Name, sel.Sel.Name, bad))
				}
			}
			return true
		})
	}
	return found
}

func judgeSkip(call *ast.CallExpr, around []ast.Node) string {
	var cond ast.Expr // of the innermost if
	for _, n := range around {
		if i, ok := n.(*ast.IfStmt); ok {
			cond = i.Cond
		}
	}
	if cond == nil {
		return "without a condition"
	}
	reason := ""
	if len(call.Args) > 0 {
		reason = literal(call.Args[0])
	}
	if reason == "" {
		return "without a reason"
	}
	short := false
	ast.Inspect(cond, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok && isName(e, "testing", "Short") {
			short = true
		}
		return true
	})
	if short {
		if !strings.HasPrefix(reason, "-short: ") {
			return "under testing.Short() for another reason than \"-short: \""
		}
	} else if !slices.ContainsFunc(lacks, func(l string) bool { return strings.HasPrefix(reason, l) }) {
		return fmt.Sprintf("for a reason that is not listed: %q", reason)
	}
	return ""
}

// literal returns the string that e is or begins with.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, _ := strconv.Unquote(e.Value) // it was parsed
			return s
		}
	case *ast.BinaryExpr:
		return literal(e.X)
	}
	return ""
}

// testParams returns the names of the parameters that are a test, such as
// t *testing.T.
func testParams(f *ast.FuncType) (ids []string) {
	for _, field := range f.Params.List {
		typ := field.Type
		if star, ok := typ.(*ast.StarExpr); ok {
			typ = star.X
		}
		if isName(typ, "testing", "T") || isName(typ, "testing", "TB") || isName(typ, "testing", "B") ||
			isName(typ, "testing", "F") || isName(typ, "testing", "M") || isName(typ, "rapid", "T") {
			for _, id := range field.Names {
				ids = append(ids, id.Name)
			}
		}
	}
	return ids
}
