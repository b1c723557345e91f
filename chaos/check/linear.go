// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/quorate/quorate/chaos/history"
)

// An op is one operation on the lock of a name.
type op struct {
	what  string // lock, unlock, lose
	token uint64
	proc  string
}

// lock is the model: somebody who is nobody holds it at first.
type lockState struct {
	holder, latest uint64
}

var lockModel = porcupine.Model{
	Init: func() any { return lockState{} },
	Step: func(state, input, _ any) (bool, any) {
		s, o := state.(lockState), input.(op)
		switch {
		case o.what == "lock":
			return s.holder == 0 && o.token > s.latest, lockState{o.token, o.token}
		case s.holder == o.token:
			return true, lockState{0, s.latest}
		default: // it had lost it before
			return o.what == "unlock", s
		}
	},
	Equal: func(a, b any) bool { return a == b },
	DescribeOperation: func(input, _ any) string {
		o := input.(op)
		return fmt.Sprintf("%s %d", o.what, o.token)
	},
	DescribeState: func(state any) string {
		if s := state.(lockState); s.holder != 0 {
			return fmt.Sprint("held with ", s.holder)
		}
		return "free"
	},
}

// linear has porcupine find an order of all that was done to each lock. It is a
// second opinion on the overlap rule, by another way, and it has a picture.
func linear(r *run) (found []Violation) {
	for _, places := range r.names {
		ops := operations(places, r.end)
		if len(ops) == 0 {
			continue
		}
		res, _ := porcupine.CheckOperationsVerbose(lockModel, ops, time.Minute)
		if text := opinion(res); text != "" {
			found = append(found, Violation{Name: title(places[0]), To: r.end, Text: text})
		}
	}
	return found
}

// opinion is what is wrong, or "": not to know is not to acquit.
func opinion(res porcupine.CheckResult) string {
	switch res {
	case porcupine.Ok:
		return ""
	case porcupine.Illegal:
		return "not linearizable"
	}
	return "porcupine has not decided within a minute"
}

// operations are what was done to one lock: taking it, from the call until the
// holder asked for the first time and was told yes; and its end, from when he
// last was told so until it was given back, or for ever.
func operations(places []*history.Place, end time.Duration) (ops []porcupine.Operation) {
	client := map[string]int{}
	add := func(o op, call, ret time.Duration) {
		if _, ok := client[o.proc]; !ok {
			client[o.proc] = len(client)
		}
		ops = append(ops, porcupine.Operation{ClientId: client[o.proc], Input: o, Call: int64(call), Return: int64(ret)})
	}
	for _, p := range places {
		if !p.Got || p.First == 0 {
			continue // who never believed disturbed nobody
		}
		add(op{"lock", p.Token, p.Proc}, p.Called, p.Ended)
		switch {
		case p.Gave > 0 && !p.Unacknowledged && p.Lost == 0 && p.Last <= p.Gave:
			add(op{"unlock", p.Token, p.Proc}, max(p.Give, p.Last), p.Gave)
		default:
			add(op{"lose", p.Token, p.Proc}, p.Last, end+time.Hour)
		}
	}
	return ops
}

// Picture writes porcupine's view of one lock, with the nemeses shaded in, to
// an HTML file.
func Picture(h *history.History, kind, name, file string) error {
	places := history.Names(h.Places())[[2]string{kind, name}]
	if len(places) == 0 {
		return fmt.Errorf("no %s %q in the history", kind, name)
	}
	end := h.Events[len(h.Events)-1].T
	_, info := porcupine.CheckOperationsVerbose(lockModel, operations(places, end), time.Minute)
	var notes []porcupine.Annotation
	for _, w := range h.Windows() {
		to := w.To
		if to == 0 {
			to = end
		}
		notes = append(notes, porcupine.Annotation{Tag: history.Nemesis, Start: int64(w.From), End: int64(to), Description: w.Name + " on " + w.On})
	}
	info.AddAnnotations(notes)
	return porcupine.VisualizePath(lockModel, info, file)
}
