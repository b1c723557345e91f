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

	largest  uint64 // of the tokens that holders were given
	shrunk   int    // tokens that were no larger than an earlier one
	barred   int    // writes that were refused although nobody had it later
	tokenful bool   // every holder was given one
	holders  int
}

// write takes, or refuses, what the n-th holder writes.
func (r *resource) write(n int, token uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if token != 0 && token < r.token {
		r.refused++
		if n > r.latest {
			r.barred++
		}
		return
	}
	if n < r.latest {
		r.stale++
	}
	r.token, r.latest = max(r.token, token), max(r.latest, n)
}

// grants notes the token that the next holder was given.
func (r *resource) grants(token uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokenful = token != 0 && (r.tokenful || r.holders == 0)
	r.holders++
	if token != 0 && token <= r.largest {
		r.shrunk++
	}
	r.largest = max(r.largest, token)
}

// faults are what was wrong with the tokens, of a lock that gives some out.
func (r *resource) faults() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shrunk > 0 {
		all = append(all, "a token is no larger than an earlier one")
	}
	if r.barred > 0 {
		all = append(all, "writes of the latest holder are refused")
	}
	if r.holders > 0 && !r.tokenful {
		all = append(all, "a holder has no token")
	}
	return all
}

func (r *resource) counts() (stale, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stale, r.refused
}
