// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package history

import "time"

// What says what an event is.
type What string

// What clients tell of places: locks and terms.
const (
	Call    What = "call"    // begins to wait for a place
	Cancel  What = "cancel"  // the context of a wait has ended
	Got     What = "got"     // has the place, with Token
	Failed  What = "failed"  // has not got it: Err
	Checked What = "checked" // asked at T whether it has the place, and was told yes
	Lost    What = "lost"    // was told that it has it no more: Err
	Give    What = "give"    // begins to give it back; its work has returned
	Gave    What = "gave"    // has given it back, or not: Err
	Working What = "working" // its work has begun
	Rested  What = "rested"  // its work has returned
)

// What they tell of other things.
const (
	Saw   What = "saw"   // an observer was shown Token and Value; none is nobody
	State What = "state" // the session's state is now Value
	Ended What = "ended" // the observer of Name has ended: Err
	Leak  What = "leak"  // a goroutine is left at the end: Value
	Born  What = "born"  // the process has begun, under the number Value: the first event of each life
	End   What = "end"   // the process has ended in order
)

// What the special processes tell.
const (
	Begin   What = "begin"   // the nemesis Name begins, on Value
	Stop    What = "stop"    // it is over
	Effect  What = "effect"  // it was seen to work: Value
	Wrote   What = "wrote"   // the resource took a write with Token from Value
	Refused What = "refused" // it did not
	Put     What = "put"     // the server has key Name, Token its Created
	Deleted What = "deleted" // it has it no more
	Left    What = "left"    // key Name is there after everybody has closed
)

// Unexpected is what Err begins with when an error is none of those that may be.
const Unexpected = "unexpected: "

// The special processes.
const (
	Nemesis  = "nemesis"
	Resource = "resource"
	Server   = "server"
)

// Kinds of places.
const (
	Mutex    = "mutex"
	Election = "election"
	Session  = "session" // its name is the session's; nobody gets it, it is only asked
)

// An Event is one line.
type Event struct {
	T     time.Duration `json:"t"` // the machine's clock that counts suspension
	Proc  string        `json:"p"`
	What  What          `json:"w"`
	Kind  string        `json:"k,omitempty"` // of the place
	Name  string        `json:"n,omitempty"` // of the place, the nemesis, the key
	ID    uint64        `json:"i,omitempty"` // of the try, within its process
	Token uint64        `json:"o,omitempty"`
	Value string        `json:"v,omitempty"`
	Err   string        `json:"e,omitempty"`
}
