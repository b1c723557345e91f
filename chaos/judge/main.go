// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/chaos/picture"
)

const usage = `usage: judge [flags] DIR

Judges the chaos run whose histories are in the folder DIR, and prints each
violation: rule, name, what, and when, in seconds since the first event.

`

const exits = `
Exit status: 0 no violation, 1 violations, 2 could not judge or write.
`

// How it ends.
const (
	good = iota
	bad
	failed
)

func main() { os.Exit(judge(os.Args[1:], os.Stdout, os.Stderr)) }

// orders are what the command line says.
type orders struct {
	dir, picture, porcupine string
	liveness                bool
	about                   history.About // the run; empty if nobody has told
}

// judge is the whole command. It returns the exit status.
func judge(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return good
	case err != nil: // it has been told
		return failed
	}
	h, err := history.Load(o.dir)
	if err == nil {
		o.about, err = history.LoadAbout(o.dir)
	}
	if err == nil && len(h.Events) == 0 {
		err = fmt.Errorf("no event in %s", o.dir)
	}
	if err != nil {
		fmt.Fprintln(stderr, "judge:", err)
		return failed
	}
	found := check.All(h, check.Bounds{Liveness: o.liveness || o.about.Liveness, Heal: o.about.Heal, Lease: o.about.Lease})
	recorded := beyond(o.about.Found)
	start := h.Events[0].T
	for _, v := range found {
		// Rules that speak of the whole run begin before it.
		from := max(0, v.From-start)
		fmt.Fprintln(stdout, line(fmt.Sprintf("%s: %s: %s (%.3f s to %.3f s)", v.Rule, v.Name, v.Text, from.Seconds(), max(from, v.To-start).Seconds())))
	}
	for _, text := range recorded {
		fmt.Fprintln(stdout, line(text+", as the run has found"))
	}
	err = errors.Join(o.draw(h, found), o.ask(h, found))
	places := slices.DeleteFunc(h.Places(), func(p *history.Place) bool { return p.Kind == history.Session })
	fmt.Fprintf(stdout, "%d violations in %d events of %d places under %d nemeses\n", len(found)+len(recorded), len(h.Events), len(places), len(h.Windows()))
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "judge:", err)
		return failed
	case len(found)+len(recorded) > 0:
		return bad
	}
	return good
}

// beyond returns of what a run has found that which no history shows. The rest is
// judged anew: the checkers may have changed.
func beyond(found []string) (recorded []string) {
	for _, text := range found {
		rule, _, _ := strings.Cut(text, ":")
		if !slices.ContainsFunc(check.Rules, func(r check.Rule) bool { return r.Name == rule }) {
			recorded = append(recorded, text)
		}
	}
	return recorded
}

func parse(args []string, stdout, stderr io.Writer) (o orders, err error) {
	flags := flag.NewFlagSet("judge", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&o.liveness, "liveness", false, "assert progress too, as if the run had said that it kept a quorum")
	flags.StringVar(&o.picture, "picture", "", "write the timeline to `FILE`, as one HTML page")
	flags.StringVar(&o.porcupine, "porcupine", "", "write porcupine's picture of each violated name into `DIR`")
	help := func(w io.Writer) {
		fmt.Fprint(w, usage)
		flags.SetOutput(w)
		flags.PrintDefaults()
		fmt.Fprint(w, exits)
	}
	err = flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		help(stdout)
		return o, err
	case err == nil && flags.NArg() != 1:
		err = fmt.Errorf("want one folder, got %d; flags come before it", flags.NArg())
	}
	if err != nil {
		fmt.Fprintf(stderr, "judge: %v\n\n", err)
		help(stderr)
		return o, err
	}
	o.dir = flags.Arg(0)
	return o, nil
}

// draw writes the timeline.
func (o orders) draw(h *history.History, found []check.Violation) error {
	if o.picture == "" {
		return nil
	}
	a := o.about
	if a.Again != "" {
		return o.page(h, found, picture.Head{Title: "Chaos on " + a.Backend, Seed: a.Seed, Backend: a.Backend, Command: a.Again})
	}
	again := "go run ./chaos/judge "
	if o.liveness {
		again += "-liveness "
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	return o.page(h, found, picture.Head{Title: "Chaos run " + filepath.Base(dir), Command: again + quote(dir)})
}

func (o orders) page(h *history.History, found []check.Violation, head picture.Head) error {
	f, err := os.Create(o.picture)
	if err != nil {
		return err
	}
	return errors.Join(picture.Write(f, h, found, head), f.Close())
}

// ask has porcupine draw the names that have violations.
func (o orders) ask(h *history.History, found []check.Violation) error {
	if o.porcupine == "" {
		return nil
	}
	if err := os.MkdirAll(o.porcupine, 0o755); err != nil {
		return err
	}
	var errs []error
	for key := range history.Names(h.Places()) {
		kind, name := key[0], key[1]
		if slices.ContainsFunc(found, func(v check.Violation) bool { return v.Name == kind+" "+name }) {
			// Names may be anything, a file's may not.
			file := filepath.Join(o.porcupine, kind+"-"+url.QueryEscape(name)+".html")
			errs = append(errs, check.Picture(h, kind, name, file))
		}
	}
	return errors.Join(errs...)
}

// quote makes one word of a path for a shell, if need be.
func quote(s string) string {
	plain := func(c rune) bool {
		return unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("/._-:\\", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// line keeps what others wrote on one line, and away from the terminal's controls.
func line(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case unicode.IsGraphic(c):
			return c
		}
		return unicode.ReplacementChar
	}, s)
}
