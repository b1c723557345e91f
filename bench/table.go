// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// A table is what the program has to say in the end.
type table struct {
	machine machine
	command string
	runs    int
	time    time.Duration
	results []result
}

// text is for terminals.
func (t *table) text() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, f := range t.facts() {
		fmt.Fprintf(w, "%s\t%s\n", f[0], f[1])
	}
	w.Flush() // the facts have columns of their own
	b.WriteByte('\n')
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, r := range t.results {
		fmt.Fprintln(w, strings.Join(r.cells(), "\t"))
	}
	w.Flush() // into a strings.Builder, which cannot fail
	b.WriteByte('\n')
	for _, n := range t.notes() {
		fmt.Fprintln(&b, n)
	}
	return b.String()
}

// markdown is for documents.
func (t *table) markdown() string {
	var b strings.Builder
	for _, f := range t.facts() {
		fmt.Fprintf(&b, "- %s: %s\n", f[0], f[1])
	}
	b.WriteByte('\n')
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	line(strings.Split(strings.Repeat("--- ", len(head)-1)+"---", " "))
	for _, r := range t.results {
		line(r.cells())
	}
	b.WriteByte('\n')
	for _, n := range t.notes() {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	return b.String()
}

func (t *table) facts() [][2]string {
	m := t.machine
	return [][2]string{
		{"date", m.date},
		{"command", t.command},
		{"processor", m.processor},
		{"system", m.system},
		{"load average", m.loadBefore + " before, " + m.loadAfter + " after"},
		{"go", m.goVersion},
		{"etcd", m.etcd},
		{"etcd client", m.client},
		{"runs", fmt.Sprintf("%d, interleaved; loops of %v, other measurements %v", t.runs, t.time, t.time/2)},
	}
}

func (t *table) notes() []string {
	notes := []string{
		"Cells are the median of all runs and, in brackets, the middle half of them. Ratios are taken within each run.",
		"met: all of that half is within the budget; met within noise: the budget is within that half.",
		"fairness: the smallest share of a session in the acquisitions of a loop by the largest; 1 is fair.",
	}
	for _, r := range t.results {
		notes = append(notes, fmt.Sprintf("%s: %s; the limit is %s; the peer is %s.", r.row.name, r.row.what, r.row.limitName, r.row.peerName))
	}
	return notes
}
