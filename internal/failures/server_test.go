// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/internal/servers"
)

// clusterScenarios hit a cluster of three.
var clusterScenarios = []serverScenario{
	{scenario{
		name: "a member hangs, two are healthy", what: "One server of three is stopped for a TTL and two seconds, each in turn, the leader too. Then, while it still hangs, the holder gives the lock back.",
		on: allLocks, convicts: []*kind{theirMutex, theirLock},
	}, 3, memberHangs},
	{scenario{
		name: "change of the servers' leader", what: "The servers' leader is killed and stays away for a TTL and two seconds.",
		on: allLocks, convicts: []*kind{theirLock},
	}, 1, leaderKilled},
	{scenario{
		name: "acquire: applied late", what: "Two servers of three are stopped, so that the request stays with the third; the context ends; they wake.",
		on: allLocks,
	}, 1, acquireLate},
	{scenario{
		name: "all servers down past the TTL", what: "All servers are killed, and started again when the lease has run out.",
		on: allLocks, convicts: []*kind{theirMutex},
	}, 1, allDown},
}

// aloneScenarios hit a single server.
var aloneScenarios = []serverScenario{
	{scenario{
		name: "the server restarts", what: "The only server is killed and started again well within the TTL, so that every connection, stream and blocking query is over.",
		on: allLocks, convicts: []*kind{theirLock},
	}, 1, restarts},
	{scenario{
		name: "compaction during a long wait", what: "A waiter's link is gone for a moment, in which the history that it waits in is compacted away. (etcd only: Consul keeps no history; what it has instead is above.)",
		on: []*kind{oursOnEtcd, theirMutex, theirElection}, convicts: []*kind{theirMutex, theirElection},
	}, 1, compacted},
}

// held notes it if a holder was told that he has lost what is still his: the
// key is at the server, so nobody has the lock.
func (tr *trial) held(p *party) bool {
	if !within(0, p.over) {
		return true
	}
	tr.row.fault("lost, though the server has kept it: nobody has the lock")
	return false
}

// afterFault is what a hand-over may take when the servers have just been hit:
// a watch whose server was away asks again after at most 0.75 s, gRPC goes back
// to a server that has refused it after 1.2 s.
const afterFault = 2 * time.Second

// handsOver has the first give the lock back, and the second get it in time.
func (tr *trial) handsOver(first, second *party, in time.Duration) {
	tr.Helper()
	given := now()
	tr.gaveBack(first)
	if !within(belief, second.done) {
		tr.row.fault("is not handed over in %v", belief)
		return
	}
	if second.err != nil {
		tr.row.fault("the waiter gives up: %v", second.err)
		return
	}
	tr.row.passed(second.acquired - given)
	if second.acquired-given > in {
		tr.row.fault("is not handed over in %v", in)
	}
	tr.row.overlapped(time.Duration(first.last.Load()) - second.acquired)
}

// gaveBack has one give the lock back, and notes it if the call hangs. One that
// is not confirmed in time goes on by itself, or is tried again at the end.
func (tr *trial) gaveBack(p *party) {
	tr.Helper()
	done := make(chan struct{})
	ctx := tr.until(time.Second)
	go func() {
		defer close(done)
		_ = p.gives(ctx)
	}()
	if !within(2*time.Second, done) {
		tr.row.fault("the release hangs")
	}
}

// aboveElection is a TTL that lasts through an election of the servers' leader
// and two renewals, as the default does with the servers' default timers.
func (st *stage) aboveElection() time.Duration {
	if st.ground.backend() == "consul" {
		return 6 * time.Second // its elections take 2 to 3 s here
	}
	return 3 * time.Second
}

func memberHangs(st *stage) {
	ttl := st.aboveElection()
	first, second := st.pairs(ttl)
	m := st.cluster.Servers()[st.round%3]
	m.Stop()
	st.each("hangs", func(tr *trial) {
		if within(ttl+2*time.Second, second[tr].done) && second[tr].has() {
			tr.taken(first[tr], second[tr])
		}
		if tr.held(first[tr]) {
			tr.handsOver(first[tr], second[tr], ttl) // each call to the one that hangs costs a part of a TTL
		}
		for _, p := range tr.parties {
			if within(0, p.done) && p.has() {
				tr.gaveBack(p)
			}
		}
	})
	m.Cont()
	st.ready()
}

func leaderKilled(st *stage) {
	ttl := st.aboveElection()
	first, second := st.pairs(ttl)
	m := st.cluster.Servers()[st.leader()]
	m.Kill()
	st.each("without the old leader", func(tr *trial) {
		if within(ttl+2*time.Second, second[tr].done) && second[tr].has() {
			tr.taken(first[tr], second[tr])
		}
		if tr.held(first[tr]) {
			tr.handsOver(first[tr], second[tr], afterFault)
		}
	})
	m.Restart()
	st.ready()
}

func acquireLate(st *stage) {
	type asked struct {
		contender, other contender
		party            *party
	}
	them := map[*trial]*asked{}
	for _, tr := range st.trials {
		tr.site.TTL = calm
		them[tr] = &asked{}
	}
	// The request goes to the leader, which can neither apply nor forget it.
	lead := st.leader()
	st.each("begin", func(tr *trial) {
		tr.site.Endpoints = tr.ground.endpoints[lead : lead+1]
		a := them[tr]
		a.contender, _ = tr.contender()
		a.other, _ = tr.contender()
	})
	all := st.cluster.Servers()
	var stopped []*servers.Member
	for i, m := range all {
		if i != lead {
			m.Stop()
			stopped = append(stopped, m)
		}
	}
	st.each("without a quorum", func(tr *trial) {
		ctx := tr.until(500 * time.Millisecond)
		a := them[tr]
		a.party = tr.tries(ctx, a.contender)
		<-ctx.Done()
		tr.ended(a.party, now())
	})
	for _, m := range stopped {
		m.Cont()
	}
	st.ready()
	st.each("after it", func(tr *trial) {
		a := them[tr]
		require.True(tr, within(patience, a.party.done))
		if a.party.has() {
			tr.gaveBack(a.party)
		}
		tr.free(a.other)
	})
}

func allDown(st *stage) {
	ttl := 2 * time.Second
	if st.ground.backend() == "consul" {
		ttl = 3 * time.Second
	}
	first, second := st.pairs(ttl)
	down := now()
	for _, m := range st.cluster.Servers() {
		m.Kill()
	}
	st.each("down", func(tr *trial) {
		// What a client can know is that its lease has run out by itself.
		left := func() time.Duration { return ttl + bound - (now() - down) }
		if !within(left(), first[tr].over) {
			tr.row.fault("the holder believes a second after the lease has run out")
		}
		tr.ended(second[tr], down+ttl)
	})
	for _, m := range st.cluster.Servers() {
		m.Restart()
	}
	st.ready()
	up := now()
	st.each("up", func(tr *trial) {
		c, _ := tr.contender()
		p := tr.tries(context.Background(), c)
		if !within(patience, p.done) {
			p = second[tr]
		}
		if !within(0, p.done) {
			tr.row.fault("nobody gets the lock in %v", patience)
			return
		}
		if !p.has() {
			tr.row.fault("does not get the lock: %v", p.err)
			return
		}
		tr.row.passed(p.acquired - up)
		tr.taken(first[tr], p)
	})
}

func restarts(st *stage) {
	first, second := st.pairs(calm)
	m := st.cluster.Servers()[0]
	m.Kill()
	m.Restart()
	st.ready()
	st.each("after it", func(tr *trial) {
		if tr.held(first[tr]) {
			tr.handsOver(first[tr], second[tr], afterFault)
		}
	})
}
