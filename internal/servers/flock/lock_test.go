// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !solaris && !aix

package flock_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/servers/flock"
	"github.com/stretchr/testify/require"
)

func TestLock(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	unlock, err := flock.Lock("a", "nobody")
	require.NoError(t, err)
	other, err := flock.Lock("b", "nobody")
	require.NoError(t, err, "another name is another lock")
	other()

	taken := make(chan error)
	go func() {
		again, err := flock.Lock("a", "the test")
		if err == nil {
			again()
		}
		taken <- err
	}()
	select {
	case err := <-taken:
		t.Fatal("both had the lock:", err)
	case <-time.After(100 * time.Millisecond): // a lock that locks nothing takes microseconds
	}
	unlock()
	require.NoError(t, <-taken)
}

func TestLockFails(t *testing.T) {
	t.Setenv("TMPDIR", "/nonexistent")
	_, err := flock.Lock("a", "nobody")
	require.ErrorContains(t, err, "flock: open /nonexistent/a-")
}
