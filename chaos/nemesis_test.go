// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/internal/links"
)

// A nemesis is one thing that goes wrong. It does it, sees that it had an
// effect, and undoes it.
type nemesis struct {
	name string
	// quorum says that most servers stay, so that progress is due afterwards.
	quorum  bool
	backend string // "" for all
	act     func(r *run, n nemesis)
	// missing says what is not here without which it cannot be; "" is nothing,
	// and so is nil.
	missing func(r *run) string
}

// allNemeses are all there are.
func allNemeses() []nemesis { return slices.Concat(nemeses, rootNemeses) }

// nemeses are those that need no rights.
var nemeses = []nemesis{
	{"kill", true, "", clientKilled, nil},
	{"stop short", true, "", func(r *run, n nemesis) { clientStopped(r, n, r.ttl/4) }, nil},
	{"stop long", true, "", func(r *run, n nemesis) { clientStopped(r, n, 2*r.ttl+r.ttl/2) }, nil},
	{"black hole", true, "", func(r *run, n nemesis) { swallowed(r, n, links.Requests, links.Answers) }, nil},
	{"requests lost", true, "", func(r *run, n nemesis) { swallowed(r, n, links.Requests) }, nil},
	{"answers lost", true, "", func(r *run, n nemesis) { swallowed(r, n, links.Answers) }, nil},
	{"late, then cut", true, "", lateThenCut, nil},
	{"reset", true, "", func(r *run, n nemesis) { resets(r, n, 1) }, nil},
	{"flapping", true, "", func(r *run, n nemesis) { resets(r, n, 10) }, nil},
	{"rolling restart", true, "", rollingRestart, nil},
	{"leader killed", true, "", func(r *run, n nemesis) { memberKilled(r, n, true) }, nil},
	{"follower killed", true, "", func(r *run, n nemesis) { memberKilled(r, n, false) }, nil},
	{"follower stopped", true, "", func(r *run, n nemesis) { memberStopped(r, n, false) }, nil},
	{"leader stopped", true, "", func(r *run, n nemesis) { memberStopped(r, n, true) }, nil},
	{"all servers down", false, "", allDown, nil},
	{"compaction", true, "etcd", compaction, nil},
}

// begin tells that the nemesis begins, and returns how to tell its effects and
// its end.
func (r *run) begin(n nemesis, on string) (effect func(string, ...any), end func()) {
	r.log.Tell(history.Event{What: history.Begin, Name: n.name, Value: on})
	return func(format string, args ...any) {
			r.log.Tell(history.Event{What: history.Effect, Name: n.name, Value: fmt.Sprintf(format, args...)})
		}, func() {
			r.log.Tell(history.Event{What: history.Stop, Name: n.name, Value: on})
		}
}

func clientKilled(r *run, n nemesis) {
	p := r.pick()
	effect, end := r.begin(n, p.name)
	p.kill()
	effect("dead")
	pause(r.Context(), between(r.rng, 0, r.ttl))
	p.start()
	end()
}

func clientStopped(r *run, n nemesis, d time.Duration) {
	p := r.pick()
	effect, end := r.begin(n, p.name)
	since := history.Now()
	require.NoError(r, p.stop())
	pause(r.Context(), d)
	require.NoError(r, p.wake())
	if d > 2*r.ttl {
		if what := p.state(since, "lost", r.ttl); what != "" {
			effect("woke and was told: %s", what)
		}
	} else {
		effect("stood still for %v", d)
	}
	end()
}

func swallowed(r *run, n nemesis, directions ...string) {
	p := r.pick()
	effect, end := r.begin(n, p.name)
	since := history.Now()
	p.link.Swallow(directions...)
	pause(r.Context(), r.ttl+r.ttl/2)
	if what := p.state(since, "lost", r.ttl); what != "" {
		effect("lost its session: %s", what)
	}
	p.link.Heal()
	end()
}

// lateThenCut holds up answers for a quarter of the TTL, of which a renewal takes
// two on etcd, so that what was renewed is older than it looks, and then loses
// requests: the last answer still comes.
func lateThenCut(r *run, n nemesis) {
	p := r.pick()
	effect, end := r.begin(n, p.name)
	since := history.Now()
	p.link.Delay(links.Answers, r.ttl/4)
	pause(r.Context(), r.ttl)
	p.link.Swallow(links.Requests)
	pause(r.Context(), r.ttl)
	if what := p.state(since, "lost", r.ttl); what != "" {
		effect("lost its session: %s", what)
	}
	p.link.Heal()
	end()
}

func resets(r *run, n nemesis, times int) {
	p := r.pick()
	effect, end := r.begin(n, p.name)
	for range times {
		before := p.link.Connections()
		p.link.Cut()
		p.link.Join()
		switch {
		case before > 0:
			effect("%d connections ended", before)
		case runtime.GOOS != "linux":
			effect("connections ended, which cannot be counted here")
		}
		pause(r.Context(), 200*time.Millisecond)
	}
	end()
}

func rollingRestart(r *run, n nemesis) {
	effect, end := r.begin(n, "all clients")
	for _, p := range r.procs {
		p.end(10 * time.Second)
		effect("%s ended", p.name)
		p.start()
		pause(r.Context(), 300*time.Millisecond)
	}
	end()
}

func (r *run) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	r.Cleanup(cancel)
	return ctx
}

// member draws a server: the one that leads, or one that does not.
func (r *run) member(leads bool) (i, leader int) {
	leader, err := r.cluster.Leader(r.within(30 * time.Second))
	require.NoError(r, err)
	if leads {
		return leader, leader
	}
	n := len(r.cluster.Servers())
	return (leader + 1 + r.rng.IntN(n-1)) % n, leader
}

func memberKilled(r *run, n nemesis, leads bool) {
	i, leader := r.member(leads)
	m := r.cluster.Servers()[i]
	effect, end := r.begin(n, fmt.Sprint("server ", i))
	m.Kill()
	if next, err := r.cluster.Leader(r.within(30 * time.Second)); err == nil && next != i && (!leads || next != leader) {
		effect("server %d leads", next)
	}
	pause(r.Context(), between(r.rng, 0, 2*time.Second))
	m.Restart()
	require.NoError(r, r.cluster.Ready(r.within(time.Minute)))
	end()
}

func memberStopped(r *run, n nemesis, leads bool) {
	i, leader := r.member(leads)
	m := r.cluster.Servers()[i]
	effect, end := r.begin(n, fmt.Sprint("server ", i))
	m.Stop()
	pause(r.Context(), r.ttl+r.ttl/2)
	if !leads {
		effect("stopped")
	} else if next, err := r.cluster.Leader(r.within(30 * time.Second)); err == nil && next != leader {
		effect("server %d leads", next)
	}
	m.Cont()
	require.NoError(r, r.cluster.Ready(r.within(time.Minute)))
	end()
}

func allDown(r *run, n nemesis) {
	effect, end := r.begin(n, "all servers")
	since := history.Now()
	for _, m := range r.cluster.Servers() {
		m.Kill()
	}
	pause(r.Context(), r.ttl+r.ttl/2)
	for _, p := range r.procs {
		if what := p.state(since, "lost", r.ttl); what != "" {
			effect("%s lost its session", p.name)
		}
	}
	for _, m := range r.cluster.Servers() {
		m.Restart()
	}
	require.NoError(r, r.cluster.Ready(r.within(time.Minute)))
	end()
}

// compaction drops the history while a client is away that waits in it.
func compaction(r *run, n nemesis) {
	p := r.pick()
	effect, end := r.begin(n, p.name)
	p.link.Cut()
	rev, err := r.cluster.(etcdCluster).Compact(r.within(30 * time.Second))
	require.NoError(r, err)
	effect("compacted at %d", rev)
	pause(r.Context(), 100*time.Millisecond)
	p.link.Join()
	end()
}
