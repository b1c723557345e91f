// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

// rootNemeses are those that need the rights of root, and Linux.
var rootNemeses []nemesis
