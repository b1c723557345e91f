// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix || solaris || aix

package servers

// lock does nothing here: run packages with -p 1.
func lock() (unlock func(), err error) {
	return func() {}, nil
}
