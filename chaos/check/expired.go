// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// expired: no session believes in itself when the server was seen to have ended
// it. Between the end and its being seen there is a moment in which nothing is
// said.
func expired(r *run) (found []Violation) {
	ended := map[string]time.Duration{} // session: when the first of its own keys was gone
	for _, e := range r.Events {
		if e.Proc != history.Server || e.What != history.Deleted {
			continue
		}
		dir, id, ok := cutLast(e.Name)
		if !ok || !strings.HasSuffix(dir, "/session") && !strings.HasSuffix(dir, "/inbox") {
			continue
		}
		if _, known := ended[id]; !known {
			ended[id] = e.T
		}
	}
	for _, p := range r.asked {
		if end, ok := ended[p.Name]; ok && p.Last > end {
			found = append(found, Violation{Name: title(p), From: end, To: p.Last,
				Text: fmt.Sprintf("%s believes in it %v after the server had ended it", p.Proc, p.Last-end)})
		}
	}
	return found
}

func cutLast(key string) (dir, last string, ok bool) {
	i := strings.LastIndexByte(key, '/')
	if i < 0 {
		return "", "", false
	}
	return key[:i], key[i+1:], true
}
