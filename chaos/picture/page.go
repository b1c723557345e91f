// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package picture

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
)

// Head is what a history does not say about its run. What is zero is not shown.
type Head struct {
	Title   string
	Backend string
	Seed    uint64
	Command string // runs it again
}

const (
	maxListed = 200  // violations in the list, and names without any
	budget    = 5000 // tries drawn one by one, in all pictures together
)

// A page is what the template shows.
type page struct {
	Head     Head
	Result   string
	Bad      []*bad
	Unlisted int
	Overview *view
	Sections []*section
	Notes    []string
	Nemeses  []nemesis
}

// A bad is a violation in the list.
type bad struct {
	check.Violation
	N          int
	From, To   time.Duration // of the run, and never backwards
	When, Link string
	all        bool // is about the whole run, not about a time
}

// A nemesis is a row of the legend.
type nemesis struct {
	Name, On, When, Effects string
}

//go:embed page.html
var text string

var layout = template.Must(template.New("page").Parse(text))

// Write draws the run that h tells of and in which found was found.
func Write(w io.Writer, h *history.History, found []check.Violation, head Head) error {
	head.Title, head.Backend, head.Command = clean(head.Title), clean(head.Backend), clean(head.Command)
	if head.Title == "" {
		head.Title = "Chaos run"
	}
	r := newRun(h)
	p := &page{Head: head}
	for i, v := range found {
		p.Bad = append(p.Bad, r.judge(i+1, v))
	}
	p.Result = fmt.Sprintf("%s in %s: %s of %s under %s", count(len(found), "violation", "violations"), seconds(r.end-r.start),
		count(len(h.Events), "event", "events"), count(len(r.places), "place", "places"), count(len(r.windows), "nemesis", "nemeses"))
	for _, w := range r.windows {
		p.Nemeses = append(p.Nemeses, nemesis{clean(w.Name), clean(w.On), r.when(w.From, r.over(w)), clean(strings.Join(w.Effects, "; "))})
	}
	r.sections(p)
	r.overview(p)
	if len(p.Bad) > maxListed {
		p.Unlisted = len(p.Bad) - maxListed
		p.Bad = p.Bad[:maxListed]
	}
	var b bytes.Buffer
	if err := layout.Execute(&b, p); err != nil {
		return fmt.Errorf("picture of a run: %w", err)
	}
	if _, err := b.WriteTo(w); err != nil {
		return fmt.Errorf("picture of a run: %w", err)
	}
	return nil
}

// judge prepares a violation for the list. Rules that speak of the whole run
// begin at 0, which is long before it.
func (r *run) judge(n int, v check.Violation) *bad {
	b := &bad{Violation: v, N: n}
	b.From = min(max(v.From, r.start), r.end)
	b.To = min(max(v.To, b.From), r.end)
	b.all = v.From < r.start && b.To == r.end
	b.When = r.when(b.From, b.To)
	if b.all {
		b.When = "the whole run"
	}
	b.Rule, b.Name, b.Text = clean(v.Rule), clean(v.Name), clean(v.Text)
	return b
}

// about says whether a violation is about a name. Rules name the place with its
// kind; those that go by the resource and by observers know the name only.
func (b *bad) about(s *section) bool { return b.Name == s.Title || b.Name == s.bare }

// sections adds those with violations first, in order of their names.
func (r *run) sections(p *page) {
	var plain []*section
	for key, places := range history.Names(r.places) {
		s := &section{Title: clean(key[0] + " " + key[1]), bare: clean(key[1]), places: places}
		for _, b := range p.Bad {
			if b.about(s) {
				s.bad = append(s.bad, b)
			}
		}
		if s.overlaps = overlaps(places); len(s.overlaps)+len(s.bad) > 0 {
			p.Sections = append(p.Sections, s)
		} else {
			plain = append(plain, s)
		}
	}
	byTitle := func(a, b *section) int { return natural(a.Title, b.Title) }
	slices.SortFunc(p.Sections, byTitle)
	slices.SortFunc(plain, byTitle)
	if len(plain) > maxListed {
		p.Notes = append(p.Notes, fmt.Sprintf("%d more names without violations are not drawn.", len(plain)-maxListed))
		plain = plain[:maxListed]
	}
	if r.sessions > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("Not drawn: %s.", count(r.sessions, "session", "sessions")))
	}
	p.Sections = append(p.Sections, plain...)
	for i, s := range p.Sections {
		s.ID = fmt.Sprint("name-", i+1)
		r.fill(s)
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}
