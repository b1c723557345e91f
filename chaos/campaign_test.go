// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/results"
)

// A campaign is runs against one cluster, one after the other.
type campaign struct {
	*testing.T
	setting
	head  results.Head
	total *results.Result
	files int // that this process had open at the begin

	mu  sync.Mutex
	now string // what is done now, for the progress line
	run *run
}

func newCampaign(t *testing.T, s setting, profile string) *campaign {
	c := &campaign{T: t, setting: s, files: used(os.Getpid()).Files}
	c.head = results.Head{
		Backend: s.backend, Profile: profile, Seed: s.seed, Began: time.Now(), TTL: s.ttl, Clients: s.clients,
		Servers: version(s.backend), Machine: machine(), Command: command(profile, s.seed),
	}
	c.total = results.New(c.head)
	c.total.Known = known(s.backend)
	return c
}

// plays makes one run of a plan, and adds what came out. It is a test of its
// own, so that one which breaks off does not end the campaign.
func (c *campaign) plays(mode string, plan func(*run) []step) {
	s := c.setting
	c.setting.seed++
	name, begun := fmt.Sprintf("%s-%d", mode, s.seed), false
	var v verdict
	c.Run(name, func(t *testing.T) {
		begun = true
		r := newRun(t, s)
		_, missing := r.on()
		steps := plan(r)
		began := time.Now()
		r.start()
		goes := r.works()
		pause(t.Context(), peace)
		for i, s := range steps {
			if !goes {
				break
			}
			c.does(r, fmt.Sprintf("%s, %d of %d: %v", mode, i+1, len(steps), s))
			goes = r.does(s, i)
		}
		if goes {
			c.does(r, mode+", calm")
			pause(t.Context(), r.calm()-peace)
			r.calmed = t.Context().Err() == nil
		}
		c.does(nil, "judging")
		v = r.judge(mode, steps, c.head)
		v.result.Took = time.Since(began)
		v.result.Missing = missing
		faults, effective := v.result.Faults()
		t.Logf("%d faults, %d effective, %d operations, %d violations", faults, effective, v.result.Operations(), len(v.found))
	})
	if !begun {
		return // it is not among those that -run names
	}
	if v.result == nil {
		v.result = brokeOff(c.head, name)
	}
	if now := used(os.Getpid()).Files; now > c.files+mostFiles {
		v.result.Violations = append(v.result.Violations, fmt.Sprintf("usage: test: it had %d files open at the begin, and has %d", c.files, now))
		c.Errorf("this process had %d files open at the begin and has %d", c.files, now)
	}
	c.mu.Lock()
	c.total.Add(v.result)
	c.run = nil
	c.mu.Unlock()
	if *stored != "" {
		require.NoError(c, c.total.Store(*stored))
	}
}

func (c *campaign) does(r *run, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run, c.now = r, what
}

// reports prints a line now and then until the test ends: what takes an hour
// must show that it lives.
func (c *campaign) reports(every time.Duration) {
	began := time.Now()
	var wg sync.WaitGroup
	c.Cleanup(wg.Wait)
	ctx := c.Context() // ends before cleanups
	wg.Go(func() {
		for ctx.Err() == nil {
			pause(ctx, every)
			fmt.Fprintln(os.Stderr, c.progress(time.Since(began)))
		}
	})
}

func (c *campaign) progress(since time.Duration) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	faults, effective := c.total.Faults()
	peak := c.total.Peak
	if c.run != nil && c.run.usage != nil {
		peak.Max(c.run.usage.most())
	}
	return fmt.Sprintf("%s %s: seed %d, %d runs, %d faults (%d effective), %d operations, %d violations; clients at most %d MB, %d files; now %s",
		since.Round(time.Second), c.backend, c.head.Seed, c.total.Runs, faults, effective, c.total.Operations(), len(c.total.Violations),
		peak.Memory>>20, peak.Files, c.now)
}
