// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

// What the tests look at from within.
var (
	Operations = operations
	Opinion    = opinion
)
