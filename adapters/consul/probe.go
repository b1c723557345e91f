// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"time"

	"github.com/hashicorp/consul/api"
)

// A blocking query that nothing answers may be one for which nothing has
// changed, or one that a frozen server keeps, or that an agent has passed on to
// a leader of the past, or whose link swallows packets. So while anybody
// watches, one small question per process asks who leads. If that is somebody
// else than before, or no answer comes, all queries are made anew, on the next
// client if there is one.

// join counts a watch in. The first one starts the prober.
func (s *Store) join() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches++
	if s.watches > 1 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	s.stop = func() { cancel(); <-done }
	go func() {
		defer close(done)
		s.probe(ctx)
	}()
}

// leave counts a watch out. The last one ends the prober and waits for it.
func (s *Store) leave() {
	s.mu.Lock()
	s.watches--
	if s.watches > 0 {
		s.mu.Unlock()
		return
	}
	stop := s.stop
	s.stop = nil
	s.mu.Unlock()
	stop()
}

func (s *Store) probe(ctx context.Context) {
	tick := time.NewTicker(s.opts.ProbeEvery)
	defer tick.Stop()
	leader, lost := "", false
	// To make all queries anew is work for an agent that is merely slow, so it is
	// given more time from one miss to the next, and less only once it is quick.
	patience := s.patience
	for {
		i := s.using.Load()
		asked := time.Now()
		now, err := s.leader(ctx, s.clients[i], patience)
		if err != nil {
			patience = min(2*patience, 4*s.patience)
		} else if time.Since(asked) < patience/4 {
			patience = max(patience/2, s.patience)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			lost = true
			s.moveOn(i, err)
			s.move("agent does not answer", err)
		case lost: // what was asked meanwhile may never be answered
			lost, leader = false, now
			s.move("agent answers again", nil)
		case now != leader && now != "":
			if leader != "" {
				s.move("another server leads", nil)
			}
			leader = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// leader asks an agent which server leads. That takes no right.
func (s *Store) leader(ctx context.Context, c *api.Client, patience time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.Status().LeaderWithQueryOptions(new(api.QueryOptions).WithContext(ctx))
}

// move has all blocking queries made anew.
func (s *Store) move(why string, cause error) {
	s.opts.Logger.Info("consul: moving all watches", "because", why, "cause", cause)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endEra(errMoved)
	s.era, s.endEra = context.WithCancelCause(context.Background())
}

// present returns the time until the next move.
func (s *Store) present() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.era
}
