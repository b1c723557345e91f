// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

import "github.com/quorate/quorate/chaos/history"

// left: who closes leaves nothing behind.
func left(r *run) (found []Violation) {
	for _, e := range r.Events {
		switch e.What {
		case history.Left:
			found = append(found, Violation{Name: e.Name, From: e.T, To: e.T, Text: "a key is left"})
		case history.Leak:
			found = append(found, Violation{Name: e.Proc, From: e.T, To: e.T, Text: "a goroutine is left: " + e.Value})
		}
	}
	return found
}
