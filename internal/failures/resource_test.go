// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import "sync"

// A resource is what the lock is there to guard, outside the store. It refuses
// a write whose token is smaller than one that it has seen.
type resource struct {
	mu      sync.Mutex
	token   uint64
	latest  int // the latest holder that has written
	stale   int
	refused int
}

// write takes, or refuses, what the n-th holder writes.
func (r *resource) write(n int, token uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if token != 0 && token < r.token {
		r.refused++
		return
	}
	if n < r.latest {
		r.stale++
	}
	r.token, r.latest = max(r.token, token), max(r.latest, n)
}

func (r *resource) counts() (stale, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stale, r.refused
}
