// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
)

// Whoever writes an adapter calls Run from a test.
func ExampleRun() {
	_ = func(t *testing.T) { // TestContract
		adaptertest.Run(t, func(t *testing.T) adaptertest.Backend {
			store := memory.New(nil)
			t.Cleanup(func() { _ = store.Close() })
			return adaptertest.Backend{Store: store}
		})
	}
}

// A write can be applied after its caller gave up and read again.
func ExampleWrap() {
	faults := adaptertest.Wrap(memory.New(nil))
	faults.Inject(
		func(c adaptertest.Call) bool { return c.Method == "Commit" },
		adaptertest.Fault{Before: 100 * time.Millisecond, Late: true, Times: 1},
	)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := faults.Commit(ctx, adapters.Tx{
		If:   []adapters.Cond{adapters.Absent("jobs/1")},
		Then: []adapters.Op{adapters.Put("jobs/1", []byte("mine"))},
	})
	fmt.Println("unknown:", errors.Is(err, adapters.ErrUnknown))

	view, _ := faults.Read(context.Background(), "jobs/1")
	fmt.Println("keys at once:", len(view.KVs))
	faults.Wait()
	view, _ = faults.Read(context.Background(), "jobs/1")
	fmt.Println("keys later:", len(view.KVs))
	// Output:
	// unknown: true
	// keys at once: 0
	// keys later: 1
}
