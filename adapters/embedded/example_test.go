// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/embedded"
)

// A store in one call, where nothing else runs yet. With a Dir it would
// survive the process.
func ExampleStart() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	srv, err := embedded.Start(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	store := srv.Store()
	_, err = store.Commit(ctx, adapters.Tx{
		If:   []adapters.Cond{adapters.Absent("demo/greeting")},
		Then: []adapters.Op{adapters.Put("demo/greeting", []byte("hello"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	view, err := store.Read(ctx, "demo/")
	if err != nil {
		log.Fatal(err)
	}
	for _, kv := range view.KVs {
		fmt.Printf("%s = %s\n", kv.Key, kv.Value)
	}
	// Output: demo/greeting = hello
}
