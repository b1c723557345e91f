// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	patience = 20 * time.Second // for what has to come
	// belief is for how long one is watched who may still believe that he holds
	// the lock after somebody else has got it.
	belief = 4 * time.Second
	tick   = time.Millisecond
)

// now is the one clock of all processes on this machine; on Linux it is read
// here, so that what is measured does not depend on what is tested.
var now = readClock

// A party is one who tries once to get the lock, and believes that he has it
// until he is told otherwise or gives it back.
type party struct {
	trial *trial
	n     int // order of holding, known once he has it
	hold  hold

	done     chan struct{} // Lock has returned
	err      error         // valid after done, as the next two
	returned time.Duration
	acquired time.Duration // 0: never

	last    atomic.Int64  // when he last asked and was told that he holds it
	over    chan struct{} // he was told that he does not, or stopped asking
	given   atomic.Bool   // he was told to give it back
	stopped chan struct{}
	stop    func()
}

func newParty(tr *trial) *party {
	p := &party{trial: tr, done: make(chan struct{}), over: make(chan struct{}), stopped: make(chan struct{})}
	p.stop = sync.OnceFunc(func() { close(p.stopped) })
	return p
}

// tries has a contender try to get the lock until ctx ends.
func (tr *trial) tries(ctx context.Context, c contender) *party {
	p := newParty(tr)
	tr.parties = append(tr.parties, p)
	go func() {
		h, err := c.lock(ctx)
		at, token := now(), uint64(0)
		if err == nil {
			token = h.token()
		}
		p.got(h, token, err, at)
		if err != nil {
			close(p.over)
			return
		}
		p.believe()
	}()
	return p
}

// got notes how Lock has returned.
func (p *party) got(h hold, token uint64, err error, at time.Duration) {
	p.hold, p.err, p.returned = h, err, at
	if err == nil {
		p.acquired = at
		p.trial.resource.grants(token)
		p.n = int(p.trial.holders.Add(1))
	}
	close(p.done)
}

// believe is the work of one who has the lock: he asks, and if it is still his,
// writes.
func (p *party) believe() {
	defer close(p.over)
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	for {
		asked := now()
		if p.hold.check() != nil {
			return
		}
		p.last.Store(int64(asked))
		p.trial.resource.write(p.n, p.hold.token())
		select {
		case <-p.stopped:
			return
		case <-ticks.C:
		}
	}
}

// gives stops the work and gives the lock back. Whoever has lost it may do so
// too.
func (p *party) gives(ctx context.Context) error {
	p.given.Store(true)
	p.stop()
	<-p.over
	return p.hold.unlock(ctx)
}

// within says whether something has happened in time.
func within(d time.Duration, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// has says whether he has got the lock by now.
func (p *party) has() bool {
	select {
	case <-p.done:
		return p.err == nil
	default:
		return false
	}
}
