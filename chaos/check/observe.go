// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// observe: an observer may skip terms, but never goes back, and is shown the
// latest one in the end.
func observe(r *run) (found []Violation) {
	latest := map[[2]string]history.Event{}
	for _, e := range r.Events {
		if e.What != history.Saw || e.Token == 0 {
			continue
		}
		k := [2]string{e.Proc, e.Name}
		if l := latest[k]; e.Token < l.Token {
			found = append(found, Violation{Name: e.Name, From: l.T, To: e.T,
				Text: fmt.Sprintf("%s was shown token %d after %d", e.Proc, e.Token, l.Token)})
			continue
		}
		latest[k] = e
	}
	return append(found, stuck(r)...)
}

// show is how long it may take until a term is shown when nothing is wrong.
const show = 2 * time.Second

// stuck: when all nemeses have been over for long enough, every observer that
// looks on still has been shown the latest term, or a later one.
func stuck(r *run) (found []Violation) {
	calm, ok := r.calmFrom()
	if !ok {
		return nil
	}
	type observer struct {
		life *history.Life
		name string
	}
	type shown struct {
		token     uint64
		at, until time.Duration // it was shown; it looks on
	}
	all := map[observer]shown{}
	for _, e := range r.Events {
		if e.What != history.Saw && e.What != history.Ended {
			continue
		}
		o := observer{r.lives.Of(e), e.Name}
		s := all[o]
		if s.until = o.life.To; e.What == history.Ended {
			s.until = e.T
		}
		if e.Token > s.token {
			s.token, s.at = e.Token, e.T
		}
		all[o] = s
	}
	for o, s := range all {
		if s.until < calm+r.Heal {
			continue
		}
		var latest *history.Place
		for _, p := range r.names[[2]string{history.Election, o.name}] {
			if p.Got && p.Ended < s.until-show && p.Token > s.token {
				latest = p
			}
		}
		if latest != nil {
			found = append(found, Violation{Name: o.name, From: s.at, To: s.until,
				Text: fmt.Sprintf("%s was shown token %d last, and %s has led", o.life.Proc, s.token, who(latest))})
		}
	}
	return found
}
