// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// perform runs the show and tells its verdict, after everything that belongs
// to it has ended and its keys are gone.
func perform(ctx context.Context, set settings, out *screen) error {
	out.plain("Quorate quickstart: three processes elect a leader and share a counter through a lock.")
	out.plain("One leader is killed, one is frozen past its lease and woken, one is asked to stop.")
	out.plain("What they write lives in a resource that refuses tokens smaller than it has seen.")
	out.plain("")
	rec, err := play(ctx, set, out)
	if err == nil {
		tellChanges(out, rec)
		out.plain("%s", rec.verdict())
		if len(rec.faults()) > 0 {
			return errVerdict
		}
		return nil
	}
	var i interruption
	var b *brokenError
	if !errors.As(err, &i) && errors.As(err, &b) {
		out.plain("\nVERDICT: FAILED - the run broke off: %v", b.err)
		return errVerdict
	}
	return err
}

// brokenError is why a story did not come to its end.
type brokenError struct{ err error }

func (b *brokenError) Error() string { return b.err.Error() }
func (b *brokenError) Unwrap() error { return b.err }

// play starts everything, lets the story run, and ends everything, whatever
// happens.
func play(ctx context.Context, set settings, out *screen) (rec *record, err error) {
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	prefix := "quickstart-" + hex.EncodeToString(id[:])
	cl, err := openCluster(ctx, set, prefix, func(format string, args ...any) { out.say(set.label(), format, args...) })
	if err != nil {
		return nil, err
	}
	led := newLedger()
	s := &story{out: out, led: led}
	swept := false
	defer func() {
		s.end()
		if !swept {
			// Not ctx: it has to happen also after Ctrl-C.
			err = errors.Join(err, s.clean(context.WithoutCancel(ctx), cl, nil))
		}
		err = errors.Join(err, cl.close())
	}()

	ttl, err := cl.granted(ctx, set.ttl)
	if err != nil {
		return nil, err
	}
	s.wait = cl.store.Limits().Latest(ttl)
	tellPlan(out, set, cl, ttl, s.wait)
	if s.res, err = newResource(set.noFence, led.wrote); err != nil {
		return nil, err
	}
	if err := s.cast(set, cl); err != nil {
		return nil, err
	}
	if err := s.act(ctx); err != nil {
		return nil, &brokenError{err}
	}
	// The leases of the dead ones are long over, and those of the others were
	// given back; what still comes to its end is no fault.
	if err := cl.unleased(ctx, s.wait); err != nil {
		return nil, err
	}
	rec = &record{
		late:        s.late,
		values:      map[string]uint64{counter: s.res.value(counter), schedule: s.res.value(schedule)},
		ends:        s.ends,
		afterDeath:  s.wait + time.Second,
		afterResign: time.Second,
	}
	rec.terms, rec.writes = led.copies()
	swept = true
	return rec, s.clean(ctx, cl, rec)
}

// clean deletes what is left on the servers and tells rec how much that was.
func (s *story) clean(ctx context.Context, cl *cluster, rec *record) error {
	leased, others, err := cl.sweep(ctx)
	if err != nil {
		s.out.say("clean up", "not all could be deleted below %s/", cl.prefix)
		return err
	}
	if leased+others == 0 {
		s.out.say("clean up", "no key was left below %s/", cl.prefix)
	} else {
		s.out.say("clean up", "%s left below %s/, deleted; %d of them hung on a lease", plural(leased+others, "key"), cl.prefix, leased)
	}
	if rec != nil {
		rec.leased, rec.others = leased, others
	}
	return nil
}

// tellPlan says where this runs and how long it will take there.
func tellPlan(out *screen, set settings, cl *cluster, ttl, wait time.Duration) {
	if cl.own != nil {
		out.say(set.label(), "a real one, inside this process, at %s", strings.Join(cl.own.Endpoints(), ","))
	} else {
		out.say(set.label(), "yours, at %s (from %s)", strings.Join(set.endpoints, ","), set.from)
		out.more("all keys are below %s/ and will be deleted", cl.prefix)
		if spec := cl.place.Consul; spec != nil {
			out.more("like the catalog node %s, on which the leases hang", spec.Node)
		}
	}
	out.say("waits", "a lease lasts %v here (asked for: %v), so the places of a dead process stay", ttl, set.ttl)
	out.more("taken for up to %v. That happens %s; the whole run takes about %.0f s",
		wait, map[bool]string{true: "twice", false: "once"}[canFreeze], (2*wait + 7*time.Second).Seconds())
}

// cast starts the workers.
func (s *story) cast(set settings, cl *cluster) error {
	var names []string
	for i := range 3 {
		p, err := start(assignment{
			Name: fmt.Sprintf("w%d", i+1), Place: cl.place, Prefix: cl.prefix,
			TTL: set.ttl, Resource: s.res.addr(), Verbose: set.verbose,
		}, s.led.tell, s.led.bump)
		if err != nil {
			return err
		}
		s.procs = append(s.procs, p)
		names = append(names, fmt.Sprintf("%s (pid %d)", p.name, p.pid()))
	}
	s.out.say("workers", "%s", strings.Join(names, ", "))
	return nil
}

// end ends whatever worker still runs: in order if it does so soon.
func (s *story) end() {
	for _, p := range s.procs {
		p.retire()
	}
	soon := time.Now().Add(2 * time.Second)
	for _, p := range s.procs {
		if !p.await(time.Until(soon)) {
			_ = p.kill()
			<-p.ended
		}
	}
	if s.res != nil {
		s.res.close()
	}
}

// tellChanges is the summary: one line for each change of leader.
func tellChanges(out *screen, r *record) {
	const row = "%-7s %-20v %-24s %-15s %s"
	out.plain("")
	out.plain(row, "leader", "token", "how it ended", "nobody led for", "next leader")
	for _, c := range r.changes() {
		end := c.from.end
		if end == "" {
			end = "lost its lease"
		}
		out.plain(row, c.from.who, c.from.token, end, length(c.nobody), c.to.who)
	}
	out.plain("")
}
