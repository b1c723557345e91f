// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard_test

import (
	"context"
	"fmt"
	"log"
	"sync"

	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/session"
	"github.com/quorate/quorate/shard"
)

// open stands for opening a session on the backend that the program has.
func open() *session.Session {
	s, err := session.Open(context.Background(), memory.New(nil), nil)
	if err != nil {
		log.Fatal(err)
	}
	return s
}

func ExampleNew() {
	s := open()
	defer s.Close()
	g, err := shard.New(s, "orders", 4, &shard.Options{Member: "worker-0"})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var begun sync.WaitGroup
	begun.Add(4)
	go func() {
		begun.Wait()
		stop()
	}()
	err = g.Run(ctx, func(ctx context.Context, s shard.Shard) error {
		begun.Done()
		<-ctx.Done() // consume partition s.Number, and write with s.Token, until then
		return nil
	})
	fmt.Println(err)
	fmt.Println(g.Table().Owner(2).ID)
	// Output:
	// shard group "orders": run: context canceled
	// worker-0
}

func ExampleOf() {
	fmt.Println(shard.Of("customer-17", 256), shard.Of("customer-18", 256))
	// Output: 175 225
}
