// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package links gives tests a way from a client to its servers that can be hit:
// cut, slowed down, or made to swallow what goes over it. It is a few lines around
// toxiproxy, whose proxies run in the test's own process.
//
// The proxy leaves goroutines behind that moved data on a link whose fault was
// taken away; [Leaks] tells goleak so.
package links
