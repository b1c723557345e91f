// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// ErrInUse means that another server, of this process or another one, runs on
// the directory.
var ErrInUse = errors.New("directory is in use by another server")

// A dataDir is a directory that nobody else uses.
type dataDir struct {
	path string
	temp bool
	lock *fileutil.LockedFile
}

// openDir takes the directory, or a temporary one if path is empty. Its lock
// is the kernel's, so that a process that was killed leaves none behind.
//
// etcd has locks of its own, but waits for them without end or panics, in a
// goroutine where nobody can recover. So what it would trip over is looked at first.
func openDir(path string) (*dataDir, error) {
	d := &dataDir{path: path, temp: path == ""}
	var err error
	if d.temp {
		d.path, err = os.MkdirTemp("", "quorate-etcd-")
	} else if err = os.MkdirAll(path, 0o700); err == nil {
		d.path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, fmt.Errorf("embedded: Options.Dir: %w", err)
	}
	d.lock, err = fileutil.TryLockFile(filepath.Join(d.path, "quorate.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fileutil.ErrLocked) {
		err = ErrInUse
	}
	if err == nil {
		err = probe(filepath.Join(d.path, "member", "snap", "db"))
	}
	if err != nil {
		err = fmt.Errorf("embedded: Options.Dir: %q: %w", d.path, err)
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// probe opens etcd's database for reading, which fails if it is damaged or if
// a server that knows nothing of our lock has it.
func probe(db string) error {
	fi, err := os.Stat(db)
	if errors.Is(err, os.ErrNotExist) || err == nil && fi.Size() == 0 {
		return nil // a first start, or one that was killed at once
	}
	if err != nil {
		return err
	}
	b, err := bbolt.Open(db, 0o600, &bbolt.Options{ReadOnly: true, Timeout: 100 * time.Millisecond})
	switch {
	case errors.Is(err, bbolt.ErrTimeout):
		return ErrInUse
	case err != nil:
		return fmt.Errorf("open database: %w", err)
	}
	return b.Close()
}

// close gives the directory up, and removes it if it was a temporary one.
func (d *dataDir) close() error {
	var err error
	if d.lock != nil {
		err = d.lock.Close()
		d.lock = nil
	}
	if d.temp {
		err = errors.Join(err, os.RemoveAll(d.path))
	}
	return err
}
