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
// it hears carries the time at which it happened. Close waits for the last, but
// not longer than Options.CloseTimeout: a function that calls Close itself has
// to do so in a goroutine of its own, or Close waits for that long in vain.
type Observer struct {
	State   func(StateChange) // the session changed its state
	Wait    func(Place)       // somebody began to wait for a place
	Acquire func(Place)       // a place was taken
	Release func(Place)       // a place was given back in order
	Lose    func(Place)       // a place was lost with the session
	Stuck   func(Place)       // work has not returned long after it was told to

	Plan func(ShardPlan) // a group of shards has a new plan; told where it was made
	Move func(ShardMove) // a shard has come to this member from another
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

// ShardPlan tells of one plan of a group of shards.
type ShardPlan struct {
	At       time.Time
	Group    string
	Planner  string // id of the member that made it
	Epoch    uint64 // number of the plan
	Cause    string // for people
	Members  int
	Moves    int           // shards that change their owner
	Minimum  int           // the fewest that could have
	Deferred int           // moves left for a later plan
	Unowned  int           // shards that nobody has the capacity for
	Took     time.Duration // from the decision to plan until the store had it
}

// ShardMove tells of one shard that has found its new owner.
type ShardMove struct {
	At       time.Time
	Group    string
	Shard    int
	From, To string // ids of members
	Token    uint64 // fencing token of the new owner
	Planned  bool   // handed over by a living owner; else taken from a dead one

	// Gap is how long nobody worked on a shard that was handed over: from when the
	// work of the one had returned, by his host's clock, until that of the other
	// began, by this host's.
	Gap time.Duration
}

// ReportPlan tells the observer. It is for package shard.
func (s *Session) ReportPlan(p ShardPlan) {
	if f := s.notify.obs.Plan; f != nil {
		s.notify.send(func() { f(p) })
	}
}

// ReportMove tells the observer. It is for package shard.
func (s *Session) ReportMove(m ShardMove) {
	if f := s.notify.obs.Move; f != nil {
		s.notify.send(func() { f(m) })
	}
}

// notifier hands events to an Observer without ever making the sender wait.
type notifier struct {
	obs  Observer
	mu   sync.Mutex
	todo []func()
	busy chan struct{} // closed when all has been told; nil while there is nothing to tell
}

func newNotifier(o *Observer) *notifier {
	n := &notifier{}
	if o != nil {
		n.obs = *o
	}
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
	if n.busy == nil {
		n.busy = make(chan struct{})
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
	close(n.busy)
	n.busy = nil
}

// told returns a channel that is closed when all has been told that was sent by
// now.
func (n *notifier) told() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy == nil {
		done := make(chan struct{})
		close(done)
		return done
	}
	return n.busy
}
