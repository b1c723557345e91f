// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package election_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/session"
)

// open stands for what a program does once, when it starts.
func open() (*session.Session, func()) {
	s, err := session.Open(context.Background(), memory.New(nil), nil)
	if err != nil {
		panic(err)
	}
	return s, func() { _ = s.Close() }
}

func ExampleNew() {
	s, done := open()
	defer done()
	_, err := election.New(s, "", nil)
	fmt.Println(err)
	// Output: election "": invalid request: name is empty
}

func ExampleElection_Lead() {
	s, done := open()
	defer done()
	e, err := election.New(s, "cron/report", &election.Options{Value: "web-3:8080"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	err = e.Lead(ctx, func(ctx context.Context, term *election.Term) error {
		fmt.Println("leading, token set:", term.Token() > 0)
		cancel(errors.New("shutting down")) // as a signal handler would
		<-ctx.Done()                        // work until told to stop
		return context.Cause(ctx)
	})
	fmt.Println(err)
	// Output:
	// leading, token set: true
	// election "cron/report": lead: shutting down
}

func ExampleElection_Campaign() {
	s, done := open()
	defer done()
	e, err := election.New(s, "cron/report", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	term, err := e.Campaign(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(term.Check())
	fmt.Println(term.Resign())
	// Output:
	// <nil>
	// <nil>
}

func ExampleElection_Leader() {
	s, done := open()
	defer done()
	e, err := election.New(s, "cron/report", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = e.Leader(context.Background())
	fmt.Println(errors.Is(err, election.ErrNoLeader), err)
	// Output: true election "cron/report": leader: no leader
}

func ExampleElection_Observe() {
	s, done := open()
	defer done()
	e, err := election.New(s, "cron/report", &election.Options{Value: "web-3"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	var term *election.Term
	for leader, err := range e.Observe(ctx) {
		switch {
		case err != nil:
			fmt.Println(err)
		case leader.Nobody() && term == nil:
			fmt.Println("nobody leads")
			term, err = e.Campaign(ctx)
			if err != nil {
				fmt.Println(err)
				return
			}
			continue
		case leader.Nobody():
			fmt.Println("nobody leads any more")
		default:
			fmt.Println(leader.Value, "leads")
			if err := term.Resign(); err != nil {
				fmt.Println(err)
			}
			continue
		}
		break
	}
	// Output:
	// nobody leads
	// web-3 leads
	// nobody leads any more
}

func ExampleTerm_Proclaim() {
	s, done := open()
	defer done()
	e, err := election.New(s, "cron/report", &election.Options{Value: "starting"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	term, err := e.Campaign(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer term.Resign()
	err = term.Proclaim(ctx, "ready")
	leader, _ := e.Leader(ctx)
	fmt.Println(leader.Value, err)
	// Output: ready <nil>
}

func ExampleTerm_Resign() {
	s, done := open()
	defer done()
	e, err := election.New(s, "cron/report", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	term, err := e.Campaign(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(term.Resign())
	fmt.Println(errors.Is(context.Cause(term.Context()), election.ErrResigned))
	fmt.Println(errors.Is(term.Check(), election.ErrResigned))
	// Output:
	// <nil>
	// true
	// true
}
