// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !solaris && !aix

package flock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Lock waits for the lock with a name. Who, such as "another package's tests",
// is named as the one that is waited for.
func Lock(name, who string) (unlock func(), err error) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("%s-%d.lock", name, os.Getuid()))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("flock: %w", err)
	}
	notice := time.AfterFunc(time.Second, func() {
		fmt.Fprintf(os.Stderr, "%s: waiting for %s to release %s\n", name, who, path)
	})
	defer notice.Stop()
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("flock: %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil
}
