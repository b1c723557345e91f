// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package results

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Enough is how many effective faults a cell has at least that is not red.
const Enough = 10

// Page writes the matrix of all results, as Markdown. A nemesis that the last
// of them knows and none has done is shown as not done.
func Page(w io.Writer, all []*Result) error {
	p := &page{all: all}
	p.head()
	for _, backend := range []string{"etcd", "consul"} {
		p.matrix(backend)
	}
	p.violations()
	p.runs()
	_, err := io.WriteString(w, p.text.String())
	return err
}

type page struct {
	all  []*Result
	text strings.Builder
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(&p.text, format, args...) }

func (p *page) head() {
	var sum Result
	sum.Nemeses, sum.Missing = map[string]*Cell{}, map[string]string{}
	for _, r := range p.all {
		sum.Add(r)
	}
	faults, effective := sum.Faults()
	p.printf("# Reliability\n\n")
	p.printf("What the chaos suite has done to Quorate and found, summed over the runs below. Written by\n\n")
	p.printf("```sh\ngo run ./chaos/report\n```\n\nfrom the files in `chaos/testdata/results`, which the commands in the last table have stored.\n\n")
	p.printf("**%s faults, %s of them effective; %s operations checked; %s violations.**\n\n", count(faults), count(effective), count(sum.Operations()), count(len(sum.Violations)))
	p.printf("Five client processes use all workloads at once on a cluster of three servers, each behind a link\n" +
		"of its own, while one nemesis after the other, or two at once, are at work. Rules and their bounds are\n" +
		"in package [check](../chaos/check/doc.go), what a nemesis does in [chaos](../chaos/doc.go). A fault is\n" +
		"effective when it was seen to have done something, such as ending a session or changing the leader.\n" +
		"\"Held again after\" is the longest time from the end of a fault until the last of all locks and\n" +
		"elections was held by somebody again, who knew it.\n")
}

// cell returns a nemesis's cell of a backend, over all results, and why it was
// not done if it was not.
func (p *page) cell(backend, nemesis string) (*Cell, string) {
	sum, why := New(Head{}), ""
	for _, r := range p.all {
		if r.Backend != backend {
			continue
		}
		if c := r.Nemeses[nemesis]; c != nil {
			sum.Add(&Result{Nemeses: map[string]*Cell{nemesis: c}})
		}
		why = cmp.Or(why, r.Missing[nemesis])
	}
	return sum.cell(nemesis), why
}

// known are the nemeses that the backend's last result knows.
func (p *page) known(backend string) (known []Known) {
	for _, r := range p.all {
		if r.Backend == backend {
			known = r.Known
		}
	}
	return known
}

func (p *page) matrix(backend string) {
	p.printf("\n## %s\n\n", map[string]string{"etcd": "etcd", "consul": "Consul"}[backend])
	p.printf("| nemesis | mode | faults | effective |")
	for _, w := range Workloads {
		p.printf(" %s |", w)
	}
	p.printf(" held again after | violations |\n|---|---|---|---|%s---|---|\n", strings.Repeat("---|", len(Workloads)))
	for _, n := range p.known(backend) {
		c, why := p.cell(backend, n.Name)
		red := ""
		if c.Effective < Enough {
			red = "🟥 "
		}
		p.printf("| %s | %s | %s | %s%s", n.Name, n.Mode, count(c.Faults), red, count(c.Effective))
		if c.Effective == 0 && why != "" {
			p.printf(" (not here: %s)", why)
		}
		p.printf(" |")
		for _, w := range Workloads {
			p.printf(" %s |", count(c.Operations[w]))
		}
		p.printf(" %s |", seconds(c))
		broken := 0
		for _, n := range c.Violations {
			broken += n
		}
		if broken > 0 {
			p.printf(" 🟥")
		}
		p.printf(" %s |\n", count(broken))
	}
}

// seconds is how long it took until everything was held again, at most.
func seconds(c *Cell) string {
	if c.Faults == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f s", c.Heal.Seconds())
}

func (p *page) violations() {
	p.printf("\n## Violations\n\n")
	none := true
	for _, r := range p.all {
		for _, v := range r.Violations {
			p.printf("- %s, %s, seed %d: `%s`\n", r.Profile, r.Backend, r.Seed, v)
			none = false
		}
	}
	if none {
		p.printf("None.\n")
	}
}

func (p *page) runs() {
	p.printf("\n## Runs\n\n| began (UTC) | profile | backend | servers | took | runs | seed | most memory of a client | most files of a client | machine | command |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range p.all {
		p.printf("| %s | %s | %s | %s | %s | %d | %d | %d MB | %d | %s | `%s` |\n", r.Began.UTC().Format("2006-01-02 15:04"), r.Profile, r.Backend, r.Servers,
			r.Took.Round(time.Second), r.Runs, r.Seed, r.Peak.Memory>>20, r.Peak.Files, r.Machine, r.Command)
	}
	missing := map[string]string{}
	for _, r := range p.all {
		maps.Copy(missing, r.Missing)
	}
	if len(missing) > 0 {
		p.printf("\nNot here, in some run:\n\n")
		for _, name := range slices.Sorted(maps.Keys(missing)) {
			p.printf("- %s: %s\n", name, missing[name])
		}
	}
}

// count writes a number with its thousands apart.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
