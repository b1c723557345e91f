// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"context"
	"fmt"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/memory"
)

func ExampleNew() {
	ctx := context.Background()
	store := memory.New(nil)
	defer store.Close()

	lease, _ := store.Grant(ctx, 10*time.Second)
	res, err := store.Commit(ctx, adapters.Tx{
		If:    []adapters.Cond{adapters.Absent("jobs/7/owner")},
		Then:  []adapters.Op{adapters.PutLeased("jobs/7/owner", []byte("me"), lease.ID)},
		Reads: []string{"jobs/7/"},
	})
	fmt.Println(res.Rev, string(res.Views[0].KVs[0].Value), err)

	store.Skip(10 * time.Second) // as if this process had been suspended
	view, _ := store.Read(ctx, "jobs/7/")
	fmt.Println(len(view.KVs), "keys")
	_, err = store.Renew(ctx, lease.ID)
	fmt.Println(err)
	// Output:
	// 2 me <nil>
	// 0 keys
	// memory: renew lease 1: lease expired or revoked
}
