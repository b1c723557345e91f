// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package quorate_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	bugClassesDoc = "docs/bug-classes.md"
	bugClassCount = 22
)

var (
	backticked = regexp.MustCompile("`([^`]*)`")
	reference  = regexp.MustCompile(`^([a-z/]+)\.(Test\w+)((?:/[^/]+)*)$`)
)

func TestBugClasses(t *testing.T) {
	repo, err := load(os.DirFS("."))
	require.NoError(t, err)
	require.Empty(t, bugClasses(repo, repo.texts[bugClassesDoc]),
		"Every class of bugs is pinned by a test that is there. Correct the reference, or say why there is none.")
}

// bugClasses returns what is wrong with the table of bug classes.
func bugClasses(t *tree, text string) (found []string) {
	n := 0
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if _, err := strconv.Atoi(strings.TrimSpace(cells[min(1, len(cells)-1)])); err != nil {
			continue
		}
		n++
		row := fmt.Sprint("row ", n)
		if len(cells) != 7 || strings.TrimSpace(cells[1]) != strconv.Itoa(n) {
			found = append(found, row+": is not row "+strconv.Itoa(n)+" of five cells: "+line)
			continue
		}
		for _, cell := range cells[1:6] {
			if strings.TrimSpace(cell) == "" {
				found = append(found, row+": has an empty cell")
			}
		}
		refs := backticked.FindAllStringSubmatch(cells[4], -1)
		if len(refs) == 0 && !strings.HasPrefix(strings.TrimSpace(cells[4]), "open until ") {
			found = append(found, row+": no test, and not open until something")
		}
		for _, ref := range refs {
			if bad := t.judgeReference(ref[1]); bad != "" {
				found = append(found, fmt.Sprintf("%s: %s: %s", row, ref[1], bad))
			}
		}
	}
	if n != bugClassCount {
		found = append(found, fmt.Sprintf("%d rows, want %d", n, bugClassCount))
	}
	return found
}

// judgeReference says what is wrong with a reference such as
// internal/line.TestX/case: the test has to be declared in that package, and
// what its subtests are called has to stand in the package's tests as strings. A
// star in a name stands for what is put together when the test runs.
func (t *tree) judgeReference(ref string) string {
	parts := reference.FindStringSubmatch(ref)
	if parts == nil {
		return "is not package.Test/subtest"
	}
	p := t.pkgs[parts[1]]
	if p == nil {
		return "no package " + parts[1]
	}
	declared, texts := false, map[string]bool{}
	for _, s := range p.sources {
		if !s.test {
			continue
		}
		declared = declared || declares(s.file, parts[2])
		ast.Inspect(s.file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				texts[literal(lit)] = true
			}
			return true
		})
	}
	if !declared {
		return "no such test"
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(parts[3], "/"), "/") {
		for piece := range strings.SplitSeq(name, "*") {
			if piece != "" && !texts[piece] {
				return fmt.Sprintf("no subtest %q", piece)
			}
		}
	}
	return ""
}

// The check can fail: each plant is put into the real document.
func TestBugClassesFindsPlants(t *testing.T) {
	repo, err := load(os.DirFS("."))
	require.NoError(t, err)
	text := repo.texts[bugClassesDoc]
	line := func(n int) string { return regexp.MustCompile(fmt.Sprintf(`(?m)^\| %d \|.*\n`, n)).FindString(text) }
	for _, plant := range []struct{ old, new, want string }{
		{"`election.TestOneCopyOfTheFunction`", "`election.TestTwoCopies`", "row 21: election.TestTwoCopies: no such test"},
		{"`election.TestOneCopyOfTheFunction`", "`elections.TestOneCopyOfTheFunction`", "no package elections"},
		{"`election.TestOneCopyOfTheFunction`", "`election.Term`", "row 21: election.Term: is not package.Test"},
		{"*/phantom leader`", "*/phantom lead`", `row 2: internal/backends.TestBackends/peace/*/phantom lead: no subtest "phantom lead"`},
		{"outages/*/leader *`", "outages/*/leeder *`", `no subtest "leeder "`},
		{"TestBackends/peace/*/cut off`", "TestBackends/war/*/cut off`", `no subtest "war"`},
		{"open until the barrier", "some day", "row 11: no test, and not open"},
		{"| CURATOR-87 |", "| |", "row 19: has an empty cell"},
		{line(7), "", "row 7: is not row 7 of five cells"},
		{line(22), "", "21 rows, want 22"},
	} {
		require.Contains(t, text, plant.old)
		planted := strings.Replace(text, plant.old, plant.new, 1)
		require.Contains(t, strings.Join(bugClasses(repo, planted), "\n"), plant.want)
	}
}
