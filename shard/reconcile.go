// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"fmt"
	"time"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/session"
)

// state is what a life knows of one shard that is its own or is to be.
type state struct {
	shard int

	// Of a shard that is ours: the claim names this life, as of revision token.
	mine    bool
	token   adapters.Rev
	epoch   uint64    // of the plan that the claim follows
	held    *holding  // the work; nil before it has begun
	wound   bool      // the work has been stopped and has returned
	force   bool      // it has not in time, and is not waited for (DrainForce)
	given   bool      // likewise, and the membership is given up for it (DrainLeave)
	sending bool      // a transaction that hands it over is under way: it may not be ours any more
	waiting bool      // for work of an earlier life to return
	to      string    // whom it is to be handed over to
	asked   time.Time // since when
	from    string    // who handed it over to us, if somebody did
	stopped int64     // when his work had stopped, by his clock (UnixNano)

	// Of a shard that the plan gives us and that is not ours yet.
	seen  uint64    // epoch of the plan under which the claim was read; 0 if it has to be
	known time.Time // when
	retry time.Time // not to be read before
	tries int
	donor *peer // who has it, and is alive
	again bool  // he is to be told that we wait, whether we have to prepare or not
	doubt bool  // the plan gives it to another, who says that it is ours
	prep  *preparation
}

// peer is another member as of its key.
type peer struct {
	id       string
	there    bool
	life     adapters.Rev // Created of the key
	mod      adapters.Rev
	prepares bool
	seen     uint64    // epoch of the plan when it was read
	at       time.Time // when
}

// reconcile starts whatever is missing. It returns when it wants to be called
// again at the latest, and whether the life is over.
func (l *life) reconcile(ctx context.Context) (wake time.Duration, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.stopping != nil:
	case l.failed != nil:
		l.stopping = l.failed
	case l.inc.Context().Err() != nil:
		l.stopping = context.Cause(l.inc.Context())
	case ctx.Err() != nil && l.leaving.IsZero():
		l.leave()
	case !l.leaving.IsZero() && l.nobodyElse():
		l.stopping = ErrLeft
	}
	p := &pass{life: l, now: time.Now(), wake: l.inc.TTL() / 3,
		peers: make(map[string]bool), sends: make(map[string][]*state), tells: make(map[string][]*state)}
	if !l.leaving.IsZero() {
		p.until(l.leaving.Add(l.g.opts.LeaveTimeout))
	}
	l.target()
	for _, st := range l.states {
		p.step(st)
	}
	p.start()
	return p.wake, l.over()
}

// target makes a state of each shard that the plan gives us.
func (l *life) target() {
	if l.scanned == l.table || l.stopping != nil {
		return
	}
	l.scanned = l.table
	n, there := l.table.number(l.id)
	if !there {
		return
	}
	for s, o := range l.table.owner {
		if int(o) == n+1 && l.states[s] == nil {
			l.states[s] = &state{shard: s}
		}
	}
}

// over says whether the life can end: it has left, or has to, and no work and no
// transaction has to be waited for.
func (l *life) over() bool {
	if l.stopping == nil && l.leaving.IsZero() || l.inspecting || len(l.sending) > 0 {
		return false
	}
	for _, st := range l.states {
		wound := st.held == nil || st.wound
		if st.mine && !st.given && (l.stopping == nil || !wound) {
			return false
		}
	}
	return true
}

// nobodyElse says whether it is in vain to wait for others to take our shards.
func (l *life) nobodyElse() bool {
	if time.Since(l.leaving) >= l.g.opts.LeaveTimeout {
		return true
	}
	// The plan knows that we leave, and yet has our shards stay.
	n, there := l.table.number(l.id)
	if !there || !l.table.members[n].draining {
		return false
	}
	for s, st := range l.states {
		if o := l.table.owner[s]; st.mine && !st.given && o != 0 && int(o) != n+1 {
			return false
		}
	}
	return true
}

// pass is one pass of reconcile: it collects what is to be done in one go.
type pass struct {
	*life
	now     time.Time
	wake    time.Duration
	inspect []*state
	peers   map[string]bool
	sends   map[string][]*state
	tells   map[string][]*state // by donor
}

// until has reconcile called again at t.
func (p *pass) until(t time.Time) {
	p.wake = max(min(p.wake, t.Sub(p.now)), time.Millisecond)
}

// step finds out what has to be done for one shard.
func (p *pass) step(st *state) {
	target := ""
	if n := p.table.owner[st.shard]; n > 0 {
		target = p.table.members[n-1].ID
	}
	switch {
	case st.sending:
	case st.mine && st.epoch > p.table.epoch && p.stopping == nil:
		// Who gave it to us knows a newer plan. By ours we might give it back,
		// and he to us again, for as long as we do not know that plan.
		p.keep(st)
	case st.mine && (target == p.id || target == ""):
		st.to = ""
		p.keep(st)
	case st.mine:
		p.handOver(st, target)
	case target == p.id && p.stopping == nil:
		p.expect(st)
	case st.doubt && p.stopping == nil:
		p.inspect = append(p.inspect, st)
	case st.prep != nil && !st.prep.ended:
		st.prep.cancel() // called off; forgotten when it has returned
	default:
		delete(p.states, st.shard)
	}
}

// keep has the work on a shard of ours run.
func (p *pass) keep(st *state) {
	switch {
	case p.stopping != nil:
		if st.held != nil {
			st.held.windUp(p.stopping)
		}
		return
	case st.held != nil && !st.wound:
		return // at work, or winding up and to be started again then
	case st.prep != nil && !st.prep.ended:
		st.prep.cancel() // first it has to return
		return
	}
	if before := p.g.busy(st.shard); before != nil {
		// An earlier life lost the shard, and its work has not returned yet.
		if l := p.life; !st.waiting {
			st.waiting = true
			l.spawn(func() {
				select {
				case <-before:
				case <-l.ctx.Done():
				}
				l.mu.Lock()
				st.waiting = false
				l.mu.Unlock()
				l.kick()
			})
		}
		return
	}
	p.begin(st)
}

func (p *pass) begin(st *state) {
	l := p.life
	set := func(f func()) func() {
		return func() {
			l.mu.Lock()
			f()
			l.mu.Unlock()
			l.kick()
		}
	}
	st.wound, st.force, st.prep = false, false, nil
	var h *holding
	h, err := l.g.hold(l.inc, l.hand, st.shard, uint64(st.token),
		set(func() { st.wound = st.wound || st.held == h }),
		set(func() { l.overdue(st, h) }))
	if err != nil {
		return // the session is being closed, reconcile sees that
	}
	st.held = h
	if st.from == "" {
		return
	}
	m := session.ShardMove{At: time.Now(), Group: l.g.name, Shard: st.shard, From: st.from, To: l.id, Token: uint64(st.token), Planned: st.stopped > 0}
	if m.Planned {
		m.Gap = max(0, m.At.Sub(time.Unix(0, st.stopped)))
	}
	l.g.s.ReportMove(m)
	st.from, st.stopped = "", 0
}

// overdue deals with work that has not returned in time.
func (l *life) overdue(st *state, h *holding) {
	if st.held != h || st.wound {
		return
	}
	switch l.g.opts.Drain {
	case DrainForce:
		st.force = true
	case DrainLeave:
		if l.leaving.IsZero() {
			l.leave()
		}
		st.given = true
		if l.stuck == nil {
			l.stuck = fmt.Errorf("%w: work on shard %d", ErrStuck, st.shard)
		}
	}
}

// handOver gives a shard of ours to another member: once that is ready, the
// work is stopped, and when it has returned the claim is written.
func (p *pass) handOver(st *state, to string) {
	if st.to != to {
		st.to, st.asked = to, p.now
	}
	peer := p.life.peers[to]
	switch {
	case p.stopping != nil && (peer == nil || !peer.there):
		p.keep(st)
		return
	case peer == nil:
		p.peers[to] = true
		p.keep(st)
		return
	case !peer.there:
		p.keep(st) // it goes on until there is somebody to take it
		if again := peer.at.Add(p.inc.TTL() / 6); p.now.Before(again) {
			p.until(again)
		} else {
			p.peers[to] = true
		}
		return
	case peer.prepares && p.ready[st.shard] != peer.life && p.stopping == nil:
		if late := st.asked.Add(p.g.opts.PrepareTimeout); p.now.Before(late) {
			p.until(late)
			p.keep(st)
			return
		}
	}
	if st.held != nil && !st.wound {
		st.held.windUp(ErrMoved)
		if !st.force && !p.g.opts.plant.hasty {
			return
		}
	} else if !st.force && st.held == nil && p.g.busy(st.shard) != nil {
		p.keep(st) // waits for it
		return
	}
	p.sends[to] = append(p.sends[to], st)
}

// expect gets a shard that the plan gives us.
func (p *pass) expect(st *state) {
	if st.seen > 0 {
		n, there := p.table.number(st.donor.id)
		if !there || p.table.members[n].since > st.seen {
			st.seen = 0
		} else if next := st.known.Add(p.inc.TTL() / 3); !p.now.Before(next) {
			// Nothing is to happen unseen, but if it did, this finds it.
			st.seen, st.again = 0, true
		} else {
			p.until(next)
		}
	}
	if st.seen == 0 {
		if p.now.Before(st.retry) {
			p.until(st.retry)
			return
		}
		p.inspect = append(p.inspect, st)
		return
	}
	p.prepare(st)
}

// start begins everything that the pass has collected.
func (p *pass) start() {
	l := p.life
	if len(p.inspect) > 0 && !l.inspecting {
		l.inspecting = true
		list := p.inspect
		l.spawn(func() {
			l.inspect(list)
			l.mu.Lock()
			l.inspecting = false
			l.mu.Unlock()
			l.kick()
		})
	}
	for id := range p.peers {
		if !l.sending[id] {
			l.job(l.sending, id, func() { l.readPeer(id) })
		}
	}
	for to, list := range p.sends {
		if !l.sending[to] {
			to := *l.peers[to]
			for _, st := range list {
				st.sending = true
			}
			l.job(l.sending, to.id, func() {
				l.send(to, list)
				l.mu.Lock()
				defer l.mu.Unlock()
				for _, st := range list {
					st.sending = false
				}
			})
		}
	}
	for donor, list := range p.tells {
		if !l.telling[donor] {
			l.job(l.telling, donor, func() { l.tellReady(list) })
		}
	}
}

// job runs f aside, one at a time for each id.
func (l *life) job(busy map[string]bool, id string, f func()) {
	busy[id] = true
	l.spawn(func() {
		f()
		l.mu.Lock()
		delete(busy, id)
		l.mu.Unlock()
		l.kick()
	})
}

// drop ends what there is of a shard: it is not ours.
func (st *state) drop(cause error) {
	if st.prep != nil {
		st.prep.cancel()
	}
	if st.held != nil {
		st.held.over(cause)
		st.held = nil
	}
	st.mine = false
}
