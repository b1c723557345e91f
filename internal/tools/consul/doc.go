// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package consul is empty. Its module pins the Consul server that tests start,
// by version and by hash, and keeps it out of the requirements of users. From
// the root of the repository,
//
//	go -C internal/tools/consul tool -n consul
//
// builds it from its source, once, keeps it in Go's build cache and prints
// where it is. Tests do that by themselves; see internal/servers/consulbin.
//
// That server is licensed under BUSL-1.1. Nobody imports it, and nothing of
// ours is shipped with it.
package consul
