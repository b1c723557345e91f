// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A story is one run: what is done to the workers, and what is told of it.
type story struct {
	out   *screen
	led   *ledger
	res   *resource
	procs []*process
	late  *lateness
	ends  []string      // what was done to leaders
	wait  time.Duration // the longest that the keys of a dead process stay
}

// act runs the phases up to the point where all workers have ended.
func (s *story) act(ctx context.Context) error {
	phases := []func(context.Context) error{s.together, s.killLeader, s.freezeLeader, s.retire}
	if !canFreeze {
		s.out.say("stop", "not shown: this system has no SIGSTOP")
		phases = slices.Delete(phases, 2, 3)
	}
	for _, phase := range phases {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	return nil
}

// together shows three workers at work.
func (s *story) together(ctx context.Context) error {
	if err := s.nextLeader(ctx, 0, 15*time.Second); err != nil {
		return err
	}
	start := now()
	err := s.await(ctx, 15*time.Second, "every worker increments the counter", func() bool {
		return !slices.ContainsFunc(s.procs, func(p *process) bool { return s.counted(p.name, start) < 3 })
	})
	if err == nil {
		err = s.watch(ctx, 2*time.Second)
	}
	if err == nil {
		s.tellCounter()
	}
	return err
}

// killLeader kills the leader and waits for the next.
func (s *story) killLeader(ctx context.Context) error {
	lead, p := s.chapter(endKilled)
	s.out.say("kill", "SIGKILL to %s (pid %d), which leads", p.name, p.pid())
	if err := p.kill(); err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	s.out.more("its lease has to end before anybody else can lead: up to %v", s.wait)
	err := s.nextLeader(ctx, lead.token, s.wait+10*time.Second)
	if err == nil {
		err = s.watch(ctx, time.Second)
	}
	if err == nil {
		s.tellCounter()
	}
	return err
}

// freezeLeader stops the leader in the middle of a write, until another leads
// and has written, and wakes it.
func (s *story) freezeLeader(ctx context.Context) error {
	lead, p := s.chapter(endFrozen)
	frozen := make(chan error, 1)
	s.res.arm(lead.who, lead.token, func() { frozen <- freeze(p.cmd.Process) })
	select {
	case err := <-frozen:
		if err != nil {
			return fmt.Errorf("stop %s: %w", p.name, err)
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(10 * time.Second):
		return fmt.Errorf("%s did not write the schedule for 10 s", p.name)
	}
	stopped := now()
	s.out.at(stopped, "stop", "SIGSTOP to %s (pid %d), which leads: just after its Check has passed, and", p.name, p.pid())
	s.out.more("just before it writes the schedule. Its lease ends within %v", s.wait)
	if err := s.nextLeader(ctx, lead.token, s.wait+10*time.Second); err != nil {
		return err
	}
	taken := now()
	err := s.await(ctx, 10*time.Second, "another writes schedule and counter", func() bool {
		return s.others(lead.who, schedule, taken) >= 3 && s.others(lead.who, counter, taken) >= 3
	})
	if err == nil {
		err = s.watch(ctx, time.Second)
	}
	if err != nil {
		return err
	}
	s.late = &lateness{who: lead.who, token: lead.token, woken: now()}
	s.out.at(s.late.woken, "wake", "SIGCONT to %s after %s: it knows nothing yet, and goes on with its write", p.name, length(s.late.woken-stopped))
	if err := wake(p.cmd.Process); err != nil {
		return fmt.Errorf("wake %s: %w", p.name, err)
	}
	return s.watchWoken(ctx)
}

// watchWoken tells what becomes of the woken worker, in the order in which it
// happens. What does not happen is for the verdict to say.
func (s *story) watchWoken(ctx context.Context) error {
	l := s.late
	for _, kind := range []string{evDenied, evOver} { // a refusal comes before
		err := s.await(ctx, 3*time.Second, kind, func() bool { _, ok := s.woken(kind); return ok })
		if err != nil && !errors.Is(err, errNotSeen) {
			return err
		}
	}
	var seen []event
	for _, kind := range []string{evRefused, evDenied, evOver} {
		e, ok := s.woken(kind)
		switch {
		case !ok:
			continue
		case kind == evDenied:
			l.denied = e.At
		case kind == evOver:
			l.over = e.At
		}
		seen = append(seen, e)
	}
	slices.SortFunc(seen, func(a, b event) int { return cmp.Compare(a.At, b.At) })
	for _, e := range seen {
		after := length(e.At - l.woken)
		switch e.Kind {
		case evRefused:
			_, reason, _ := strings.Cut(e.Note, ": ")
			s.out.at(e.At, e.who, "%s later: its write is refused, token %s", after, reason)
		case evDenied:
			s.out.at(e.At, e.who, "%s later: its next Check fails", after)
		case evOver:
			s.out.at(e.At, e.who, "%s later: its context has ended", after)
		}
	}
	return s.comeBack(ctx)
}

// woken returns what the woken worker reports of the term that it lost.
func (s *story) woken(kind string) (event, bool) {
	return s.led.find(s.late.woken, func(e event) bool {
		return e.who == s.late.who && e.Kind == kind && e.Token == s.late.token
	})
}

// comeBack waits until the woken worker takes part again.
func (s *story) comeBack(ctx context.Context) error {
	who := s.late.who
	var queued event
	err := s.await(ctx, 15*time.Second, who+" comes back", func() bool {
		var found bool
		queued, found = s.led.find(s.late.woken, func(e event) bool { return e.who == who && e.Kind == evQueued })
		return found && s.counted(who, queued.At) >= 3
	})
	if err != nil {
		return err
	}
	s.out.at(queued.At, who, "%s later: has a new lease and stands in line again", length(queued.At-s.late.woken))
	err = s.watch(ctx, time.Second)
	if err == nil {
		s.tellCounter()
	}
	return err
}

// retire ends the workers in order, the leader first.
func (s *story) retire(ctx context.Context) error {
	lead, p := s.chapter(endResigned)
	s.out.say("retire", "%s (pid %d), which leads, is asked to stop", p.name, p.pid())
	p.retire()
	if err := s.nextLeader(ctx, lead.token, 10*time.Second); err != nil {
		return err
	}
	if err := s.watch(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	for _, p := range s.procs {
		p.retire()
	}
	for _, p := range s.procs {
		if !p.await(10 * time.Second) {
			return fmt.Errorf("worker %s (pid %d) was asked to stop and has not for 10 s", p.name, p.pid())
		}
		if p.err != nil && !p.killed {
			return fmt.Errorf("worker %s ended with %w: %s", p.name, p.err, p.stderr.String())
		}
	}
	s.out.say("retire", "all workers have ended")
	return nil
}

// chapter begins what is done to the present leader.
func (s *story) chapter(end string) (term, *process) {
	lead, _ := s.led.leader() // together has seen one
	s.led.ended(lead.token, end)
	s.ends = append(s.ends, end)
	s.out.plain("")
	return lead, s.procs[slices.IndexFunc(s.procs, func(p *process) bool { return p.name == lead.who })]
}

// nextLeader waits for a leader with a token larger than the given one.
func (s *story) nextLeader(ctx context.Context, token uint64, limit time.Duration) error {
	var next term
	err := s.await(ctx, limit, "somebody leads", func() bool {
		var found bool
		next, found = s.led.leader()
		return found && next.token > token
	})
	if err != nil {
		return err
	}
	gap := ""
	if old, ok := s.led.before(next.token); ok {
		gap = ": nobody led for " + length(next.from-old.until)
	}
	s.out.at(next.from, next.who, "leads with token %d%s", next.token, gap)
	return nil
}

func (s *story) counted(who string, since time.Duration) int {
	return s.led.count(since, func(w write) bool { return w.Item == counter && w.Who == who && w.accepted })
}

func (s *story) tellCounter() {
	var by []string
	for _, p := range s.procs {
		by = append(by, fmt.Sprintf("%s %d", p.name, s.counted(p.name, 0)))
	}
	s.out.say("counter", "is %d, written under the lock by %s", s.res.value(counter), strings.Join(by, ", "))
}

// others returns how many writes to item came from others than who.
func (s *story) others(who, item string, since time.Duration) int {
	return s.led.count(since, func(w write) bool { return w.accepted && w.Who != who && w.Item == item })
}

// watch lets everything run for people to see, and for faults to show.
func (s *story) watch(ctx context.Context, d time.Duration) error {
	end := now() + d
	err := s.await(ctx, d, "", func() bool { return now() >= end })
	if errors.Is(err, errNotSeen) {
		return nil
	}
	return err
}

var errNotSeen = errors.New("not seen in time")

// await waits until cond is true, which is looked at after every change of
// the ledger. It fails if a worker ends that nobody has ended.
func (s *story) await(ctx context.Context, limit time.Duration, what string, cond func() bool) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		changed := s.led.changes()
		if cond() {
			return nil
		}
		for _, p := range s.procs {
			if err := p.failure(); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return fmt.Errorf("%w: %s within %s", errNotSeen, what, length(limit))
		}
	}
}
