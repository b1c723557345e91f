// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package mutex_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

func ExampleNew() {
	s, err := session.Open(context.Background(), memory.New(nil), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	_, err = mutex.New(s, "any text, even this: /", nil)
	fmt.Println(err)
	_, err = mutex.New(s, "", nil)
	fmt.Println(err)
	// Output:
	// <nil>
	// mutex "": invalid request: name is empty
}

func ExampleMutex_Lock() {
	ctx := context.Background()
	s, err := session.Open(ctx, memory.New(nil), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	m, err := mutex.New(s, "jobs/7", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	hold, err := m.Lock(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(hold.Check(), hold.Token() > 0)
	fmt.Println(hold.Unlock())
	fmt.Println(context.Cause(hold.Context()))
	// Output:
	// <nil> true
	// <nil>
	// released
}

func ExampleMutex_TryLock() {
	ctx := context.Background()
	s, err := session.Open(ctx, memory.New(nil), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	m, err := mutex.New(s, "jobs/7", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	hold, err := m.TryLock(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hold.Unlock()
	_, err = m.TryLock(ctx) // also from the same process: not reentrant
	fmt.Println(errors.Is(err, mutex.ErrLocked), err)
	// Output: true mutex "jobs/7": try lock: locked by somebody else
}

func ExampleMutex_Do() {
	ctx := context.Background()
	s, err := session.Open(ctx, memory.New(nil), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	m, err := mutex.New(s, "jobs/7", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = m.Do(ctx, func(ctx context.Context, h *mutex.Hold) error {
		fmt.Println("alone:", h.Check() == nil, ctx.Err() == nil)
		return nil
	})
	fmt.Println(err)
	// Output:
	// alone: true true
	// <nil>
}
