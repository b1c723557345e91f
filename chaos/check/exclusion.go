// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// overlap walks through the holders of each name by their tokens. Whoever has a
// smaller token must have been told yes for the last time before the next one
// got the place, which also says that tokens grow in the order of holding.
func overlap(r *run) (found []Violation) {
	for _, places := range r.names {
		var before, latest *history.Place // by token; by when it was last told yes
		for _, p := range places {
			if !p.Got {
				break
			}
			if before != nil && before.Token == p.Token {
				found = append(found, Violation{Name: title(p), From: p.Ended, To: p.Ended,
					Text: fmt.Sprintf("%s and %s have one token", who(before), who(p))})
			}
			if latest != nil && latest.Last > p.Ended {
				found = append(found, Violation{Name: title(p), From: p.Ended, To: latest.Last,
					Text: fmt.Sprintf("%s has it and %s believes so for %v more", who(p), who(latest), latest.Last-p.Ended)})
			}
			before = p
			if latest == nil || p.Last > latest.Last {
				latest = p
			}
		}
	}
	return found
}

// order: cancel the context, wait for the work, release; never the other way
// round (promise 2).
func order(r *run) (found []Violation) {
	for _, p := range r.places {
		if p.Give == 0 || p.Working == 0 {
			continue
		}
		if p.Rested == 0 || p.Rested > p.Give {
			to := p.Rested
			if to == 0 {
				to = r.end
			}
			found = append(found, Violation{Name: title(p), From: p.Give, To: to,
				Text: who(p) + " gives it back while its work runs"})
		}
	}
	return found
}

// fence goes by the resource's own order, not by anybody's belief.
func fence(r *run) (found []Violation) {
	type seen struct {
		token uint64
		by    string
		at    time.Duration
	}
	last, owners := map[string]seen{}, map[string]map[uint64]string{}
	for _, e := range r.Events {
		if e.Proc != history.Resource || e.What != history.Wrote {
			continue
		}
		if l := last[e.Name]; e.Token < l.token {
			found = append(found, Violation{Name: e.Name, From: l.at, To: e.T,
				Text: fmt.Sprintf("a write of %s with token %d after one of %s with %d", e.Value, e.Token, l.by, l.token)})
		}
		if owners[e.Name] == nil {
			owners[e.Name] = map[uint64]string{}
		}
		if by, ok := owners[e.Name][e.Token]; ok && by != e.Value {
			found = append(found, Violation{Name: e.Name, From: e.T, To: e.T,
				Text: fmt.Sprintf("writes of %s and of %s with one token %d", by, e.Value, e.Token)})
		}
		owners[e.Name][e.Token] = e.Value
		if e.Token >= last[e.Name].token {
			last[e.Name] = seen{e.Token, e.Value, e.T}
		}
	}
	return found
}
