// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/chaos/history"
)

// cpuQuota: the leader has a twentieth of a processor.
func cpuQuota(r *run, n nemesis) {
	leader, _ := r.member(true)
	effect, end := r.begin(n, fmt.Sprint("server ", leader))
	over := time.After(2 * r.ttl)
	g := cpuGroups.join(r, "cpu.cfs_quota_us", r.cluster.Servers()[leader].Pid())
	defer g.leave()
	g.set("cpu.cfs_period_us", "100000")
	g.set("cpu.cfs_quota_us", "5000")
	<-over
	waited, of := g.get("cpu.stat", "nr_throttled"), g.get("cpu.stat", "nr_periods")
	if waited >= 10 {
		effect("it had to wait in %d of %d tenths of a second%s", waited, of, r.leads(leader, time.Second))
	} else {
		r.Logf("it had to wait in %d of %d tenths of a second", waited, of)
	}
	g.leave()
	r.ready()
	end()
}

// serverFrozen: a server stands still, and its connections stay open.
func serverFrozen(r *run, n nemesis) {
	i, leader := r.member(r.rng.IntN(2) == 0)
	pid := r.cluster.Servers()[i].Pid()
	effect, end := r.begin(n, fmt.Sprint("server ", i))
	g := freezerGroups.join(r, "cgroup.procs", pid)
	defer g.leave()
	defer g.thaw()
	g.freeze()
	before := ticks(r, pid)
	pause(r.Context(), r.ttl+r.ttl/2)
	ran := ticks(r, pid) - before
	if ran == 0 {
		effect("it did not run%s", r.leads(leader, time.Second))
	}
	g.thaw()
	g.leave()
	r.ready()
	end()
}

// clientFrozen is clientStopped by other means, which it could not even catch.
func clientFrozen(r *run, n nemesis) {
	p := r.pick()
	pid := p.cmd.Process.Pid
	effect, end := r.begin(n, p.name)
	since := history.Now()
	g := freezerGroups.join(r, "cgroup.procs", pid)
	defer g.leave()
	defer g.thaw()
	g.freeze()
	before := ticks(r, pid)
	pause(r.Context(), 2*r.ttl+r.ttl/2)
	ran := ticks(r, pid) - before
	g.thaw()
	g.leave()
	if what := p.state(since, "lost", r.ttl); what != "" && ran == 0 {
		effect("did not run, woke and was told: %s", what)
	}
	end()
}
