// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// A table is what the program has to say in the end: a table for each backend.
type table struct {
	machine machine
	command string
	runs    int
	time    time.Duration
	parts   []part
}

// A part is what was measured on one backend.
type part struct {
	backend        *backend
	server, client string // versions
	results        []result
}

// text is for terminals.
func (t *table) text() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, f := range t.facts() {
		fmt.Fprintf(w, "%s\t%s\n", f[0], f[1])
	}
	w.Flush() // the facts have columns of their own
	for _, p := range t.parts {
		b.WriteByte('\n')
		fmt.Fprintln(w, strings.Join(p.head(), "\t"))
		for _, r := range p.results {
			fmt.Fprintln(w, strings.Join(r.cells(), "\t"))
		}
		w.Flush() // into a strings.Builder, which cannot fail
	}
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
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	for _, p := range t.parts {
		b.WriteByte('\n')
		line(p.head())
		line(strings.Split(strings.Repeat("--- ", len(head)-1)+"---", " "))
		for _, r := range p.results {
			line(r.cells())
		}
	}
	b.WriteByte('\n')
	for _, n := range t.notes() {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	return b.String()
}

// head is the head of a part's table, with the peer's name.
func (p *part) head() []string {
	return strings.Split(strings.ReplaceAll(strings.Join(head, "\t"), "peer", p.backend.peerName), "\t")
}

func (t *table) facts() [][2]string {
	m := t.machine
	facts := [][2]string{
		{"date", m.date},
		{"command", t.command},
		{"processor", m.processor},
		{"system", m.system},
		{"load average", m.loadBefore + " before, " + m.loadAfter + " after"},
		{"go", m.goVersion},
	}
	for _, p := range t.parts {
		facts = append(facts, [2]string{p.backend.title, p.server}, [2]string{p.backend.title + " client", p.client})
	}
	return append(facts, [2]string{"runs", fmt.Sprintf("%d, interleaved; loops of %v, other measurements %v", t.runs, t.time, t.time/2)})
}

func (t *table) notes() []string {
	notes := []string{
		"Cells are the median of all runs and, in brackets, the middle half of them. Ratios are taken within each run.",
		"met: all of that half is within the budget; met within noise: the budget is within that half.",
		"fairness: the smallest share of a session in the acquisitions of a loop by the largest; 1 is fair. " +
			"A turn is an acquisition by another session than the last one.",
		fmt.Sprintf("All leases have a TTL of %v. Each session has a client of its own.", leaseTTL),
	}
	for _, p := range t.parts {
		for _, r := range p.results {
			notes = append(notes, fmt.Sprintf("%s: %s; the limit is %s.", r.row.name, r.row.what, r.row.limitName))
		}
	}
	return notes
}
