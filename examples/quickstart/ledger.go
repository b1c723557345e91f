// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"sync"
	"time"
)

// A term is a time in which one worker led, as far as it has been proven.
type term struct {
	who   string
	token uint64
	// from and until are stamps taken just before the first and the last
	// Check that passed. It was the leader's place already at from, and
	// still at until.
	from, until time.Duration
	end         string // how it ended, for people
}

// A ledger collects all that is seen in a run.
type ledger struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	terms   []*term       // in the order in which they were told
	writes  []write       // in the order in which the resource took them
	events  []event       // but for passed Checks
}

func newLedger() *ledger { return &ledger{changed: make(chan struct{})} }

// changes returns a channel that is closed at the next change.
func (l *ledger) changes() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *ledger) bump() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bumpLocked()
}

func (l *ledger) bumpLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// tell takes down an event of a worker.
func (l *ledger) tell(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.bumpLocked()
	switch e.Kind {
	case evLeading:
		l.terms = append(l.terms, &term{who: e.who, token: e.Token, from: e.At, until: e.At})
	case evCheck:
		if i := slices.IndexFunc(l.terms, func(t *term) bool { return t.who == e.who && t.token == e.Token }); i >= 0 {
			l.terms[i].until = e.At
		}
		return
	}
	l.events = append(l.events, e)
}

// wrote takes down a write that the resource accepted or refused.
func (l *ledger) wrote(w write) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes = append(l.writes, w)
	l.bumpLocked()
}

// leader returns the term with the largest token, if there is one.
func (l *ledger) leader() (term, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var last *term
	for _, t := range l.terms {
		if last == nil || t.token > last.token {
			last = t
		}
	}
	if last == nil {
		return term{}, false
	}
	return *last, true
}

// before returns the term before that with the given token.
func (l *ledger) before(token uint64) (term, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var last *term
	for _, t := range l.terms {
		if t.token < token && (last == nil || t.token > last.token) {
			last = t
		}
	}
	if last == nil {
		return term{}, false
	}
	return *last, true
}

// ended notes how a term came to its end.
func (l *ledger) ended(token uint64, how string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.terms {
		if t.token == token {
			t.end = how
		}
	}
}

// find returns the first event that fits, no earlier than since.
func (l *ledger) find(since time.Duration, fits func(event) bool) (event, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.At >= since && fits(e) {
			return e, true
		}
	}
	return event{}, false
}

// count returns how many writes since then fit.
func (l *ledger) count(since time.Duration, fits func(write) bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, w := range l.writes {
		if w.at >= since && fits(w) {
			n++
		}
	}
	return n
}

// copies returns the terms in the order of holding, and the writes.
func (l *ledger) copies() ([]term, []write) {
	l.mu.Lock()
	defer l.mu.Unlock()
	terms := make([]term, len(l.terms))
	for i, t := range l.terms {
		terms[i] = *t
	}
	slices.SortStableFunc(terms, func(a, b term) int { return int(a.from - b.from) })
	return terms, slices.Clone(l.writes)
}
