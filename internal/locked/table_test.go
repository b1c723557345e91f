// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
)

const (
	patience = 20 * time.Second // with what has to come
	atOnce   = 2 * time.Second  // what is final has come by then, on however slow a machine
	long     = 20 * time.Second // a TTL that nothing here sees the end of
)

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// get takes what comes over ch.
func get[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		require.FailNow(t, "waited in vain for "+what)
		panic("unreachable")
	}
}

// async calls f in the background and returns where its result comes.
func async[T any](f func() T) <-chan T {
	ch := make(chan T, 1)
	go func() { ch <- f() }()
	return ch
}

// denied calls f and checks that it is refused at once and for good, in words
// that tell what to do about it.
func denied(t testing.TB, f func() error, words ...string) {
	t.Helper()
	began := time.Now()
	err := f()
	require.Less(t, time.Since(began), atOnce, "%v", err)
	require.ErrorIs(t, err, adapters.ErrDenied)
	for _, w := range words {
		require.ErrorContains(t, err, w)
	}
}

// gave checks what giving a place back returned. On a machine that is short of
// CPU it may go on in the background; what comes next shows it.
func gave(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		require.ErrorIs(t, err, adapters.ErrUnknown)
	}
}
