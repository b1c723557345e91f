// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix || solaris || aix

package flock

// Lock does nothing here.
func Lock(string, string) (unlock func(), err error) {
	return func() {}, nil
}
