// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"fmt"
	"time"

	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/session"
)

func ExampleOpen() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	store := memory.New(nil) // or etcd.New(client, nil), or embedded
	s, err := session.Open(ctx, store, &session.Options{Prefix: "prod/billing", TTL: 5 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.State(), s.Check())
	fmt.Println(s.Close(), s.State())
	// Output:
	// active <nil>
	// <nil> closed
}

func ExampleSession_Handle() {
	ctx := context.Background()
	store := memory.New(nil)
	worker, err := session.Open(ctx, store, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer worker.Close()
	operator, err := session.Open(ctx, store, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer operator.Close()

	got := make(chan session.Message)
	worker.Handle("yield", func(m session.Message) { got <- m })

	inc, err := worker.Current(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = operator.Send(ctx, inc.ID(), session.Message{Kind: "yield", Name: "jobs/7"})
	m := <-got
	fmt.Println(m.Kind, m.Name, err)
	// Output: yield jobs/7 <nil>
}
