// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/internal/links"
)

var cutScenarios = []scenario{
	{
		name: "link cut, no reset", what: "The holder's link swallows everything from one moment on, in both directions.",
		on: allLocks, convicts: []*kind{theirLock},
		run: heldThrough(func(_ *trial, l *links.Link) { l.Swallow(links.Requests, links.Answers) }),
	},
	{
		name: "requests only", what: "The holder's link swallows what the holder says; answers would pass.",
		on:  allLocks,
		run: heldThrough(func(_ *trial, l *links.Link) { l.Swallow(links.Requests) }),
	},
	{
		// The server goes on hearing the renewals of one who does not know it.
		name: "answers only", what: "The holder's link swallows the answers; renewals still arrive.",
		on: allLocks, convicts: []*kind{theirLock},
		run: answersCut,
	},
	{
		name: "answers late by half a TTL, then cut", what: "Answers come half a TTL late for two TTLs, then the link swallows everything.",
		on: allLocks, convicts: []*kind{theirLock},
		run: heldThrough(func(tr *trial, l *links.Link) { lateThenCut(tr, l, tr.site.TTL/2) }),
	},
	{
		name: "answers late by 0.95 TTL, then cut", what: "The same with answers that come 0.95 TTL late.",
		on: allLocks, convicts: []*kind{theirLock},
		run: heldThrough(func(tr *trial, l *links.Link) { lateThenCut(tr, l, tr.site.TTL*95/100) }),
	},
	{
		// Late by less than ours waits for one answer, so that a late one counts.
		name: "answers late by 0.15 TTL, then cut", what: "The same with answers that come 0.15 TTL late. (Ours waits a sixth of a TTL for an answer, and so lets go before the cut in the two scenarios above.) The TTL is 6 seconds, and ours has no margin to hide behind.",
		on: []*kind{oursOnEtcd, oursOnConsul, theirMutex, theirLock}, convicts: []*kind{theirLock},
		run: func(tr *trial) {
			tr.site.TTL, tr.site.Margin = 6*time.Second, 10*time.Millisecond
			heldThrough(func(tr *trial, l *links.Link) {
				l.Delay(links.Answers, tr.site.TTL*15/100)
				within(tr.site.TTL, nil)
				l.Swallow(links.Requests, links.Answers)
			})(tr)
		},
	},
	{
		name: "granted late, then cut", what: "The answer to the grant of the lease comes 0.45 TTL late, and the link is cut before the first renewal. (etcd; the TTL is 4 seconds.)",
		on: []*kind{oursOnEtcd, theirMutex}, convicts: []*kind{theirMutex},
		run: grantedLate,
	},
	{
		name: "cut right after the grant", what: "The link swallows everything as soon as the lock is taken, before the first renewal.",
		on: allLocks, convicts: []*kind{theirMutex, theirLock},
		run: cutAfterGrant,
	},
	{
		name: "SIGSTOP past the TTL, SIGCONT", what: "The holder's process, which works 20 ms between asking and writing, is stopped until the next one has written, and woken.",
		on: allLocks, convicts: []*kind{theirMutex, theirLock},
		run: stopped,
	},
}

// heldThrough: one holds, another waits, and then the holder's link is hit.
func heldThrough(hit func(*trial, *links.Link)) func(*trial) {
	return func(tr *trial) {
		first, _, l := tr.holder()
		second, _, _ := tr.waiter(context.Background())
		// Some look at their lease once a second, so it matters when.
		within(time.Duration(tr.round%3)*time.Second/3, nil)
		hit(tr, l)
		tr.next(first, second, now())
	}
}

// next waits until the second has the lock, or the first lets go of it.
func (tr *trial) next(first, second *party, since time.Duration) {
	tr.Helper()
	tr.gets(second)
	tr.row.passed(second.acquired - since)
	if second.acquired-since > tr.expired()+bound {
		tr.row.fault("nobody gets the lock for long")
	}
	tr.taken(first, second)
}

// lateThenCut lets answers come late for long enough that renewals are sent
// and answered, and cuts the link.
func lateThenCut(tr *trial, l *links.Link, by time.Duration) {
	l.Delay(links.Answers, by)
	within(2*tr.site.TTL, nil)
	l.Swallow(links.Requests, links.Answers)
}

// answersCut ends with the link whole again: a holder whose renewals arrive
// keeps the lock at the server for as long as he sends them, so the next one
// gets it only when the first stops, or never.
func answersCut(tr *trial) {
	first, _, l := tr.holder()
	second, _, _ := tr.waiter(context.Background())
	l.Swallow(links.Answers)
	if within(tr.site.TTL+bound, first.over) || within(tr.expired()+2*time.Second, second.done) {
		tr.next(first, second, now()) // only now does the lease begin to run out
		return
	}
	tr.row.fault("holds on, unable to hear that it has lost")
}

// cutAfterGrant cuts the link before any renewal was answered.
func cutAfterGrant(tr *trial) {
	next, _ := tr.contender()
	late := make(chan struct{})
	first, _, l := tr.holder(func(at *site) { at.Late = late })
	l.Swallow(links.Requests, links.Answers)
	close(late)
	since := now()
	tr.next(first, tr.tries(context.Background(), next), since)
}

// grantedLate has trust begin with a lease that is old when it is heard of.
func grantedLate(tr *trial) {
	tr.site.TTL = 4 * time.Second
	next, _ := tr.contender()
	late := make(chan struct{})
	first, _, l := tr.holder(func(at *site) {
		at.Late = late
		at.Granted = func() { within(at.TTL*45/100, nil) }
	})
	l.Swallow(links.Requests, links.Answers)
	close(late)
	since := now()
	tr.next(first, tr.tries(context.Background(), next), since)
}

// stopped has a pause between asking and writing, which no clock can guard.
func stopped(tr *trial) {
	first := tr.process(20 * time.Millisecond)
	tr.gets(first.party)
	second, _, _ := tr.waiter(context.Background())
	require.NoError(tr, first.stopProcess())
	since := now()
	tr.gets(second)
	tr.eventually("a write", func() bool { return second.last.Load() > 0 })
	require.NoError(tr, first.wakeProcess())
	tr.next(first.party, second, since)
}
