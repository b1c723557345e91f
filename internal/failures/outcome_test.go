// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/internal/links"
)

// calm is a TTL that nothing here sees the end of: what is left behind a live
// session is not cleared away by the end of a lease.
const calm = 8 * time.Second

var outcomeScenarios = []scenario{
	{
		name: "acquire: answer lost after it was applied", what: "The lock is free, and its taking is applied; the answer never comes, and the context ends. The session lives on.",
		on: allLocks, convicts: []*kind{theirMutex, theirLock},
		run: acquireAnswerLost,
	},
	{
		name: "release: answer lost after it was applied", what: "The holder gives back, the answer never comes; then he asks for the lock again.",
		on:  allLocks,
		run: releaseAnswerLost,
	},
	{
		name: "release: applied late", what: "The holder's release is held up for a second; then he asks for the lock again.",
		on:  allLocks,
		run: releaseLate,
	},
	{
		name: "release: request lost", what: "The holder's release never arrives; a second later the link is whole again, and he asks for the lock again.",
		on:  allLocks,
		run: releaseLost,
	},
	{
		name: "acquire: applied after it was given up", what: "There are two ways to the server. The taking is held up on one, done over the other, and given back; then what was held up arrives. (Ours only: the peers do not try again.)",
		on:  []*kind{oursOnEtcd, oursOnConsul},
		run: acquireTwice,
	},
}

// ended measures how long after then a try has ended.
func (tr *trial) ended(p *party, then time.Duration) {
	tr.Helper()
	if within(belief, p.done) {
		tr.row.waits(max(0, p.returned-then))
	} else {
		tr.row.hangs(now() - then)
	}
}

// free has a contender take the lock, which nobody has or waits for, and
// notes it if that takes longer than a wait may.
func (tr *trial) free(c contender) {
	tr.Helper()
	since := now()
	p := tr.tries(tr.until(bound), c)
	if !within(bound, p.done) || !p.has() {
		tr.row.fault("nobody can have the lock: a key is left behind a live session")
		return
	}
	tr.row.passed(p.acquired - since)
	require.NoError(tr, p.gives(tr.ctx()))
}

// acquires opens a contender whose link can be hit before it takes the lock: by
// hit, or, if it looks first whether the lock is free, by itself after that.
func (tr *trial) acquires(what func(*links.Link)) (c contender, l *links.Link, hit func()) {
	tr.Helper()
	var armed atomic.Bool
	c, l = tr.contender(func(at *site) {
		at.Acquiring = func() {
			if armed.CompareAndSwap(true, false) {
				what(l)
			}
		}
	})
	if tr.kind.queues {
		return c, l, func() { what(l) }
	}
	return c, l, func() { armed.Store(true) }
}

func acquireAnswerLost(tr *trial) {
	tr.site.TTL = calm
	c, l, hit := tr.acquires(func(l *links.Link) { l.Swallow(links.Answers) })
	other, _ := tr.contender()
	hit()
	ctx := tr.until(500 * time.Millisecond)
	p := tr.tries(ctx, c)
	tr.eventually("the write", func() bool { return tr.keys() > 0 })
	<-ctx.Done()
	tr.ended(p, now())
	l.Heal()
	require.True(tr, within(patience, p.done))
	if p.has() {
		require.NoError(tr, p.gives(tr.ctx()))
	}
	tr.free(other)
}

func releaseAnswerLost(tr *trial) {
	tr.site.TTL = calm
	first, c, l := tr.holder()
	second, _, _ := tr.waiter(context.Background())
	l.Swallow(links.Answers)
	tr.releases(first)
	tr.ended(second, now())
	l.Heal()
	tr.again(first, second, c)
}

func releaseLate(tr *trial) {
	tr.site.TTL = calm
	first, c, l := tr.holder()
	second, _, _ := tr.waiter(context.Background())
	l.Delay(links.Requests, time.Minute)
	tr.releases(first)
	require.False(tr, within(500*time.Millisecond, second.done), "the request was not held up")
	l.Heal()
	tr.ended(second, now())
	tr.again(first, second, c)
}

func releaseLost(tr *trial) {
	tr.site.TTL = calm
	first, c, l := tr.holder()
	second, _, _ := tr.waiter(context.Background())
	l.Swallow(links.Requests)
	tr.releases(first)
	require.False(tr, within(time.Second, second.done), "the request was not lost")
	l.Heal()
	tr.ended(second, now())
	tr.again(first, second, c)
}

func acquireTwice(tr *trial) {
	tr.site.TTL = calm
	other, _ := tr.contender()
	tr.site.Endpoints = []string{tr.site.Endpoints[0], tr.site.Endpoints[0]}
	c, l := tr.contender()
	l.Way(0).Delay(links.Requests, time.Minute)
	for range 8 { // the client takes turns, so the first may go the good way
		p := tr.tries(tr.ctx(), c)
		stuck := !within(300*time.Millisecond, p.done)
		tr.gets(p)
		_ = p.gives(tr.ctx()) // which may be held up too
		if stuck {
			break
		}
	}
	l.Heal()
	within(500*time.Millisecond, nil)
	tr.free(other)
}

// releases has a holder give the lock back who waits half a second for an
// answer; what his lock does after that is its own affair.
func (tr *trial) releases(p *party) {
	p.given.Store(true)
	p.stop()
	<-p.over
	ctx := tr.until(500 * time.Millisecond)
	go func() { _ = p.hold.unlock(ctx) }()
}

// again has one who has given the lock back ask for it once more. What he still
// had on its way may not hit the one who has it.
func (tr *trial) again(first, second *party, c contender) {
	tr.Helper()
	if !within(0, second.done) {
		tr.row.fault("stays locked, after an Unlock whose outcome is unknown")
		return
	}
	tr.row.overlapped(time.Duration(first.last.Load()) - second.acquired)
	tr.reconnects(c)
	third := tr.tries(tr.ctx(), c)
	if within(500*time.Millisecond, third.done) {
		if !third.has() {
			tr.row.fault("cannot be locked again: %v", third.err)
			return
		}
		tr.taken(second, third)
		return
	}
	require.NoError(tr, second.gives(tr.ctx()))
	tr.ended(third, now())
	tr.gets(third)
	tr.row.overlapped(time.Duration(second.last.Load()) - third.acquired)
}

// reconnects waits until a peer's client has left the connection that heal has
// closed: what fails on that says nothing of the lock.
func (tr *trial) reconnects(c contender) {
	tr.Helper()
	t, ok := c.(*theirs)
	if !ok {
		return
	}
	tr.eventually("a connection", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := t.client.Put(ctx, "connected-"+tr.site.Name, "")
		return err == nil
	})
}
