// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adapters_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/memory"
)

// A lock in one step: create the key if it is not there, on a lease, and see
// who else is in the directory.
func ExampleStore() {
	ctx := context.Background()
	var store adapters.Store = memory.New(nil)
	lease, err := store.Grant(ctx, 10e9)
	if err != nil {
		fmt.Println(err)
		return
	}
	tx := adapters.Tx{
		If:    []adapters.Cond{adapters.Absent("locks/a/1")},
		Then:  []adapters.Op{adapters.PutLeased("locks/a/1", []byte("me"), lease.ID)},
		Reads: []string{"locks/a/"},
	}
	res, err := store.Commit(ctx, tx)
	fmt.Println(len(res.Views[0].KVs), string(res.Views[0].KVs[0].Value), err)
	_, err = store.Commit(ctx, tx)
	fmt.Println(errors.Is(err, adapters.ErrConflict))
	fmt.Println(store.Revoke(ctx, lease.ID))
	view, err := store.Read(ctx, "locks/a/")
	fmt.Println(len(view.KVs), err)
	// Output:
	// 1 me <nil>
	// true
	// <nil>
	// 0 <nil>
}
