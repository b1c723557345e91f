// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// results are the rows of the table.
type results struct {
	mu   sync.Mutex
	rows []*row
}

func (rs *results) row(s scenario, k *kind) *row {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := &row{scenario: s.name, kind: k.name}
	rs.rows = append(rs.rows, r)
	return r
}

// scenarios are all there are, in the order of the table.
func scenarios() []scenario {
	all := linkScenarios()
	for _, s := range slices.Concat(clusterScenarios, aloneScenarios, []serverScenario{tokenExpires, tokenWithdrawn}) {
		all = append(all, s.scenario)
	}
	return append(all, clockSteps)
}

// write writes the table, if the command line wants it. What has failed is no
// measurement.
func (rs *results) write(t *testing.T) {
	if *table == "" || t.Failed() {
		return
	}
	for _, s := range scenarios() {
		for _, k := range s.on {
			require.NotNil(t, rs.find(s, k), "%s was not tried on %s", s.name, k.name)
		}
	}
	require.NoError(t, os.WriteFile(*table, []byte(rs.markdown()), 0o644))
}

func (rs *results) find(s scenario, k *kind) *row {
	for _, r := range rs.rows {
		if r.scenario == s.name && r.kind == k.name {
			return r
		}
	}
	return nil
}

const head = `# Known failures

How locks on etcd and Consul are known to fail in the field, each way made to
happen on real servers, to Quorate and to the locks that the backends' own clients
bring. Some peers fail only by chance, depending on when the fault comes: "(1 of 3)" says
in how many rounds. api.Lock knows one server only, the first. This page was written by the run that measured it:

` + "```sh\n%s\n```" + `

- date: %s
- machine: %d cores, %s/%s, kernel %s, %s
- etcd client and server: %s
- Consul client: %s, server 1.22.0
- rounds of each scenario: %s; a row shows the worst of its rounds

What the columns say, and how each figure is measured, stands in the
[package documentation](../internal/failures/doc.go). In short, all in milliseconds:

- **overlap**: from when the next holder had the lock until the old one was told for the
  last time that it still held it. Below zero there was a gap, as there should be. ">": it
  still believed that when the watching ended, %v later.
- **stale**: writes that the guarded resource took from an old holder after one of a newer.
  It refuses smaller tokens; the peers' calls that take a lock return none, so they write
  without. (A user of concurrency.Mutex who sends Header().Revision along has one.)
- **keys**: left behind when everybody had given back what he had and every lease of the dead
  had ended.
- **next**: from the fault, or from the release, until the next one had the lock. Below zero
  the old one had let go of it before the fault.
- **wait**: from what should have ended a wait until it ended.

A dash: there was none to measure. Quorate may not fail a row: no overlap, no stale write, no
key left, no wait beyond a second. The one exception is a holder's key that somebody deletes
by hand, which overrides the lock: there the token has to do.

Not in the table, because it depends on the server's own timing and on nothing that a client
does: a leader of etcd that was stopped and wakes may end leases that its successor has
renewed. Ours are out of its reach ([decision 13](decisions/0013-a-lease-for-each-leader.md)); the
peers' are not, so that it would be chance who of them fails. Here members that hang
wake when nobody holds anything.

## Summary

| lock | scenarios | failed |
|---|---|---|
%s
`

func (rs *results) markdown() string {
	var sums, body strings.Builder
	for _, k := range kinds {
		tried, failed := 0, 0
		for _, r := range rs.rows {
			if r.kind == k.name {
				tried++
				failed += min(len(r.verdict()), 1)
			}
		}
		fmt.Fprintf(&sums, "| %s | %d | %d |\n", k.name, tried, failed)
	}
	for _, s := range scenarios() {
		fmt.Fprintf(&body, "\n## %s\n\n%s\n\n", strings.ToUpper(s.name[:1])+s.name[1:], s.what)
		body.WriteString("| lock | overlap | stale | keys | next | wait | verdict |\n|---|---|---|---|---|---|---|\n")
		for _, k := range s.on {
			fmt.Fprintf(&body, "| %s |\n", strings.Join(rs.find(s, k).cells(), " | "))
		}
	}
	command := "go test -count=1 ./internal/failures -args -table ../../docs/known-failures.md"
	if os.Getenv("QUORATE_LONG") != "" {
		command = "QUORATE_LONG=1 go test -count=1 -timeout 40m ./internal/failures -args -table ../../docs/known-failures.md"
	}
	return fmt.Sprintf(head, command, time.Now().UTC().Format("2006-01-02 15:04 MST"),
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, kernel(), runtime.Version(),
		module("go.etcd.io/etcd/client/v3"), module("github.com/hashicorp/consul/api"),
		rs.roundsOf(), belief, strings.TrimSpace(sums.String())) + body.String()
}

// roundsOf tells how many rounds there were, of the few numbers that there are.
func (rs *results) roundsOf() string {
	var all []string
	for _, r := range slices.SortedFunc(slices.Values(rs.rows), func(a, b *row) int { return cmp.Compare(a.rounds, b.rounds) }) {
		if n := fmt.Sprint(r.rounds); !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return strings.Join(all, " or ")
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

// module asks the go command, since a test does not know what it is built of.
func module(path string) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", path).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
