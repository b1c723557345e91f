// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// These tests hold the rules of the repository: what CONTRIBUTING.md asks for
// and a compiler does not check. planted_test.go shows that each of them
// catches what it is there for.
package quorate_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A rule is one thing that holds everywhere in the repository.
type rule struct {
	name  string
	fix   string // what to do about a violation, and why; printed above them
	check func(*tree) []string
}

var rules = []rule{
	{
		"picture",
		"The import picture in ARCHITECTURE.md is what readers trust, so it has to be what the code does.\n" +
			"Take the import out if it was not meant, else paste the block below over the one there.",
		picture,
	},
	{
		"layers",
		"Each package imports only what stands below it. Move the code, or take what you need as an argument.",
		layers,
	},
	{
		"servers",
		"Whoever imports a package has its tests' imports in his go.sum too, and an etcd server there costs 190 MB.\n" +
			"Tests that need a real server go into a package that nobody imports: internal/conformance or chaos.",
		servers,
	},
	{
		"testing only",
		"What only tests need must not be linked into users' programs.\n" +
			"It belongs into _test.go files, adapters/adaptertest, or an internal package that only tests import.",
		testingOnly,
	},
	{"length", "Split the file by nouns: one that is longer is about more than one thing.", length},
	{"license", "Start the file with these two lines:\n" + spdx, license},
	{
		"modules",
		"A replace breaks `go install`, a newer go directive forces every user to upgrade, and a module that is\n" +
			"not where it is expected is not tested.",
		modules,
	},
	{"hosts", "Leave the choice of a package registry to whoever builds. Name the package, not the host.", hosts},
	{"links", "Readers follow the tour through the code by these links. Correct the link.", links},
	{
		"package comments",
		"Write one package comment, in doc.go: what is guaranteed, what is not, states, failures.",
		packageComments,
	},
	{"comments", "Say what the caller has to know: units, errors, what happens on a loss.", comments},
	{
		"sleeps",
		"A sleep that hopes is too short on a slow machine and too long on a fast one. Wait for what you wait for,\n" +
			"or use testing/synctest. Where time itself is the subject, say so in a comment `// sleep: why`.",
		sleeps,
	},
	{
		"skips",
		"A test that is skipped looks like one that passed. Skip under `if testing.Short()` with a reason that\n" +
			"begins with \"-short: \", or where the platform lacks something with one of the reasons in tests_test.go.",
		skips,
	},
	{
		"examples",
		"Write an Example with an `// Output:` comment into a _test.go of the package: it is what people copy.",
		examples,
	},
}

func TestRules(t *testing.T) {
	repo, err := load(os.DirFS("."))
	require.NoError(t, err)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			if found := r.check(repo); len(found) > 0 {
				t.Errorf("%s\n\n%s", r.fix, strings.Join(found, "\n"))
			}
		})
	}
}
