// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"sync"
	"time"
)

// Observer is a set of functions that are told what happens, like
// [net/http/httptrace.ClientTrace]. Metrics, dashboards and the chaos checker
// all hang on this one hook. Any function may be nil.
//
// They are called one at a time, in order, on a goroutine of the session, so a
// slow observer delays what it hears but never a renewal or a hand-over. What
// it hears carries the time at which it happened. Close waits for the last.
type Observer struct {
	State   func(StateChange) // the session changed its state
	Wait    func(Place)       // somebody began to wait for a place
	Acquire func(Place)       // a place was taken
	Release func(Place)       // a place was given back in order
	Lose    func(Place)       // a place was lost with the session
	Stuck   func(Place)       // work has not returned long after it was told to
}

// StateChange tells of a session that went from one state to another.
type StateChange struct {
	At       time.Time
	Session  string // id of the incarnation
	From, To State
	Cause    error // why, if the change is for the worse
}

// Place tells of one place in one queue: a lock, a term of a leader.
type Place struct {
	At      time.Time
	Session string // id of the incarnation
	Kind    string // "mutex", "election"
	Name    string
	Token   uint64        // fencing token, once there is one
	Took    time.Duration // waited for it, held it, or been stuck with it
	Cause   error         // why it was lost
}

// notifier hands events to an Observer without ever making the sender wait.
type notifier struct {
	obs  Observer
	mu   sync.Mutex
	todo []func()
	busy bool
	idle *sync.Cond
}

func newNotifier(o *Observer) *notifier {
	n := &notifier{}
	if o != nil {
		n.obs = *o
	}
	n.idle = sync.NewCond(&n.mu)
	return n
}

func (n *notifier) state(e StateChange) {
	if f := n.obs.State; f != nil {
		n.send(func() { f(e) })
	}
}

func (n *notifier) place(f func(Place), p Place) {
	if f != nil {
		p.At = time.Now()
		n.send(func() { f(p) })
	}
}

func (n *notifier) send(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.todo = append(n.todo, f)
	if !n.busy {
		n.busy = true
		go n.drain()
	}
}

func (n *notifier) drain() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.todo) > 0 {
		todo := n.todo
		n.todo = nil
		n.mu.Unlock()
		for _, f := range todo {
			f()
		}
		n.mu.Lock()
	}
	n.busy = false
	n.idle.Broadcast()
}

func (n *notifier) wait() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.busy {
		n.idle.Wait()
	}
}
