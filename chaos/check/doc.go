// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package check judges the history of a chaos run.
//
//	h, err := history.Load(dir)
//	...
//	for _, v := range check.All(h, check.Bounds{}) {
//		fmt.Println(v)
//	}
//
// It looks at nothing but the history, so a run can be judged again.
//
// # Rules
//
//	overlap     a place is passed on only when the last holder does not believe any more (I1),
//	            and tokens grow in the order of holding (I2)
//	order       a place is given back only when its work has returned
//	fence       the resource takes no smaller token after a larger one, and one holder's each (I3)
//	unlock      what is given back goes to one who waits, in time
//	wait        every wait ends when its context does, in time (I9)
//	heal        what is wanted is held again in time when a nemesis is over, and stays so (I4)
//	observe     no observer is shown an earlier leader after a later one, or a stale one in a calm
//	expired     no session believes in itself when the server was seen to have ended it
//	left        no leased key and no goroutine is left (I5, I6)
//	lives       a process that was not killed ends in order
//	errors      no client was told what nobody expects
//	linear      the lock is linearizable, says porcupine
//	vacuous     enough was done before the first nemesis and after the last, of all that is judged,
//	            and each nemesis had an effect
//
// unlock and heal speak of progress: they hold when a quorum of the servers is kept,
// which is the run's mode to say ([Bounds.Liveness]). If it is not, heal is asked for
// after the last nemesis only.
//
// # What a pause may do
//
// A process that is stopped asks, is stopped, and answers when it wakes. What counts is
// when it asked, so such an answer is no overlap; a question that it asks after it
// woke is one, if it is told yes.
//
// Time in which nothing could be done counts for no bound on progress: that in which a
// nemesis stopped the process, and that in which the machine itself stood still, so that
// no process told anything although several ask every few milliseconds.
package check
