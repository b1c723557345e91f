// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package quorate_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// good is a small repository that breaks no rule. Go files get the lines of the
// license when it is planted.
var good = map[string]string{
	"go.mod":     "module " + module + "\n\ngo 1.26.0\n",
	"quorate.go": "// Package quorate names adapters, adapters/embedded,\n// mutex and session.\npackage quorate\n",

	"adapters/doc.go":          "// Package adapters is it.\npackage adapters\n",
	"adapters/embedded/doc.go": "// Package embedded is it.\npackage embedded\n\nimport _ \"go.etcd.io/etcd/server/v3/embed\"\n",
	"session/doc.go":           "// Package session is it.\npackage session\n\nimport _ \"" + module + "/adapters\"\n",
	"session/example_test.go":  "package session_test\n\nfunc ExampleSession_Send() {\n\t// Output: 1\n}\n",
	"mutex/doc.go":             "// Package mutex is it.\npackage mutex\n",
	"mutex/mutex.go": `package mutex

import _ "` + module + `/session"

// Mutex is a lock.
type Mutex[T any] struct{}

// These are documented as a group.
const (
	A = 1
	B = 2
)

var C = 3 // and this at its line

// Lock locks.
func (m *Mutex[T]) Lock() {}

// New makes one. Its example has a suffix.
func New() *Mutex[int] { return nil }

func (m *Mutex[T]) String() string { return "" }
`,
	"mutex/example_test.go": `package mutex_test

func ExampleNew_verbatim() {
	// Output:
}

func ExampleMutex_Lock() {
	// Output: 1
}

func ExampleMutex_TryLock() {
	// Output: 1
}

func ExampleMutex_Do() {
	// Output: 1
}
`,
	"mutex/mutex_test.go": `package mutex_test

import (
	"testing"
	"time"
)

func TestIt(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: takes a minute")
	}
	// sleep: the lease has to run out
	time.Sleep(time.Minute)
	time.Sleep(time.Minute) // sleep: once more
	store.Skip(time.Minute)
}
`,
	"ARCHITECTURE.md": "See [`Mutex.Lock`](mutex/mutex.go), [there](mutex/) and [here](#here).\n\n```imports\n" +
		"mutex -> session\nsession -> adapters\n\nadapters\nadapters/embedded\n.\n```\n",
}

// plants are violations: files that are added to the good repository or put in
// place of its own, the rule that has to find them, and what it has to say.
var plants = []struct {
	rule  string
	files map[string]string
	want  string
}{
	{"picture", file("ARCHITECTURE.md", "nothing"), "no block"},
	{"picture", file("mutex/more.go", "package mutex\n\nimport _ \""+module+"/adapters\""), "not in the picture: mutex -> adapters"},
	{"picture", file("session/doc.go", "package session"), "only in the picture: session -> adapters"},
	{"picture", file("fence/doc.go", "package fence"), "not in the picture: fence"},

	{"layers", imports("fence", "adapters"), "fence/new.go: fence imports adapters"},
	{"layers", imports("adapters", "session"), "the contract stands on nothing"},
	{"layers", imports("adapters/embedded", "session"), "an adapter stands below"},
	{"layers", imports("mutex", "adapters/embedded"), "primitives run on every backend"},
	{"layers", join(imports("internal/line", "adapters/embedded"), imports("mutex", "internal/line")), "primitives run on every backend"},
	{"layers", imports("session", "mutex"), "the session stands on the contract"},
	{"layers", join(imports("chaos", "session"), importsInTest("mutex", "chaos")), "nobody imports chaos"},
	{"layers", join(imports("bench", "session"), imports("internal/x", "bench")), "nobody imports bench"},
	{"layers", join(imports("examples/a", "session"), imports("internal/x", "examples/a")), "nobody imports examples"},
	{"layers", join(imports("internal/conformance", "session"), imports("internal/x", "internal/conformance")), "nobody imports internal/conformance"},

	{"servers", importsInTest("mutex", "adapters/embedded"), "mutex/new_test.go: imports adapters/embedded, which imports go.etcd.io"},
	{"servers", join(imports("internal/servers", "adapters/embedded"), importsInTest("mutex", "internal/servers")), "imports internal/servers, which imports adapters/embedded"},
	{"servers", join(imports("mutex", "internal/line"), importsInTest("internal/line", "go.etcd.io/etcd/server/v3/embed")), "internal/line/new_test.go: imports go.etcd.io"},

	{"testing only", imports("mutex", "testing"), "mutex/new.go: imports testing"},
	{"testing only", join(imports("mutex", "internal/line"), imports("internal/line", "go.uber.org/goleak")), "internal/line/new.go: imports"},
	{"testing only", imports("examples/a", "github.com/stretchr/testify/require"), "examples/a/new.go: imports"},

	{"length", file("mutex/long.go", "package mutex\n"+strings.Repeat("\n", 397)), "mutex/long.go: 401 lines"},
	{"length", file("bench/long_test.go", "package bench\n"+strings.Repeat("\n", 397)), "bench/long_test.go: 401 lines"},

	{"license", file("mutex/gen.go", "//go:build linux\n"+spdx+"package mutex"), "mutex/gen.go:1"},

	{"modules", file("go.mod", "module m\n\ngo 1.26.1\n"), "go.mod:3: go 1.26.1"},
	{"modules", file("go.mod", "module m\n\nreplace a => ../b\n"), "go.mod:3: replaces"},
	{"modules", file("go.mod", "module m\n\nreplace (\n\ta v1.0.0 => b v1.0.0\n)\n"), "go.mod:4: replaces"},
	{"modules", file("bench/go.mod", "module m\n\ngo 1.27\n"), "bench/go.mod:3: go 1.27"},
	{"modules", file("mutex/go.mod", "module m\n"), "mutex/go.mod: nested modules"},

	{"hosts", file(".ci/run", "export GOPROXY=https://"+strings.Join(registries[0], ".")+"\n"), ".ci/run:1: names"},

	{"links", file("docs/a.md", "[x](../mutex/gone.go)"), "docs/a.md: [x](../mutex/gone.go): there is no mutex/gone.go"},
	{"links", file("docs/a.md", "[`Mutex.Unlock`](../mutex/mutex.go)"), "mutex/mutex.go does not declare Unlock"},

	{"package comments", file("mutex/doc.go", "package mutex"), "mutex/doc.go: no package comment"},
	{"package comments", file("mutex/mutex.go", "// Package mutex is it.\npackage mutex"), "mutex/mutex.go: package comment"},
	{"package comments", file("mutex/doc.go", "// This is it.\npackage mutex"), "does not begin with"},
	{"package comments", file("internal/x/x_test.go", "package x_test"), "internal/x/doc.go: no package comment"},
	{"package comments", file("fence/doc.go", "// Package fence is it.\npackage fence"), "quorate.go: does not name package fence"},

	{"comments", file("mutex/more.go", "package mutex\n\nfunc Do() {}"), "mutex/more.go:6: Do"},
	{"comments", file("mutex/more.go", "package mutex\n\nfunc (Mutex[T]) Do() {}"), "mutex/more.go:6: Do"},
	{"comments", file("mutex/more.go", "package mutex\n\ntype (\n\tX int\n)"), "mutex/more.go:7: X"},
	{"comments", file("internal/x/x.go", "package x\n\nvar a, X = 1, 2"), "internal/x/x.go:6: X"},

	{"sleeps", file("mutex/more_test.go", "package mutex_test\n\nimport \"time\"\n\nfunc f() {\n\n\ttime.Sleep(1)\n}"), "mutex/more_test.go:10: time.Sleep"},
	{"sleeps", file("mutex/more_test.go", "package mutex_test\n\nfunc f() {\n\t// sleep: far away\n\n\ttime.Sleep(1)\n}"), "mutex/more_test.go:9: time.Sleep"},

	{"skips", test("t.Skip(\"-short: flaky\")"), "t.Skip without a condition"},
	{"skips", test("if x {\n t.SkipNow()\n}"), "t.SkipNow without a reason"},
	{"skips", test("if x {\n t.Skip(err)\n}"), "t.Skip without a reason"},
	{"skips", test("if x {\n t.Skip(\"flaky\" + why)\n}"), "for a reason that is not listed: \"flaky\""},
	{"skips", test("if testing.Short() {\n t.Skipf(\"flaky %d\", 1)\n}"), "t.Skipf under testing.Short() for another reason"},

	{"examples", file("mutex/example_test.go", "package mutex_test"), "mutex: no ExampleMutex_Lock "},
	{"examples", file("mutex/more.go", "package mutex\n\nfunc OpenAll() {}"), "mutex: no ExampleOpenAll "},
	{"examples", file("mutex/example_test.go", "package mutex_test\n\nfunc ExampleNew() {}"), "mutex: no ExampleNew "},
	{"examples", file("adapters/more.go", "package adapters\n\nvar X int"), "adapters: no Example with an output"},
}

func TestRulesFindPlants(t *testing.T) {
	planted := map[string]bool{}
	for _, p := range plants {
		planted[p.rule] = true
		t.Run(p.rule+"/"+p.want, func(t *testing.T) {
			require.Contains(t, strings.Join(check(t, p.rule, join(good, p.files)), "\n"), p.want)
		})
	}
	for _, r := range rules {
		require.True(t, planted[r.name], "no violation of rule %q is planted", r.name)
		require.Empty(t, check(t, r.name, good), "rule %q refuses what is good", r.name)
	}
}

// What is drawn for a paste has to be what is read.
func TestPictureReadsItsOwnDrawing(t *testing.T) {
	found := check(t, "picture", join(good, file("ARCHITECTURE.md", "")))
	require.Empty(t, check(t, "picture", join(good, file("ARCHITECTURE.md", found[len(found)-1]))))
}

func check(t *testing.T, name string, files map[string]string) []string {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		if strings.HasSuffix(name, ".go") && !strings.Contains(text, spdx) {
			text = spdx + "\n" + text
		}
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	repo, err := load(fsys)
	require.NoError(t, err)
	i := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
	require.GreaterOrEqual(t, i, 0, "there is no rule %q", name)
	return rules[i].check(repo)
}

func file(name, text string) map[string]string { return map[string]string{name: text} }

// imports is a file of the package in dir that imports what, which is a package
// of ours by its directory or any other.
func imports(dir, what string) map[string]string { return importing(dir+"/new.go", dir, what) }

func importsInTest(dir, what string) map[string]string {
	return importing(dir+"/new_test.go", dir, what)
}

func importing(name, dir, what string) map[string]string {
	if what != "testing" && !strings.Contains(what, ".") {
		what = module + "/" + what
	}
	return file(name, "package "+dir[strings.LastIndex(dir, "/")+1:]+"\n\nimport _ \""+what+"\"\n")
}

func test(body string) map[string]string {
	return file("mutex/more_test.go", "package mutex_test\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) {\n"+body+"\n}\n")
}

func join(all ...map[string]string) map[string]string {
	joined := map[string]string{}
	for _, m := range all {
		maps.Copy(joined, m)
	}
	return joined
}
