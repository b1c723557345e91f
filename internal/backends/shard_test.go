// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package backends

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/session"
	"github.com/quorate/quorate/shard"
)

var shardScenarios = []scenario{
	{"shards move with members that come, leave, die and return", shardsMove},
	{"200 shards of one member and of five", manyShards},
}

// ledger knows who works on which shard.
type ledger struct {
	w      *bench
	shards int

	mu     sync.Mutex
	owner  map[int]string
	token  map[int]uint64
	starts int
	gap    time.Duration // the longest of planned moves
}

func (l *ledger) begin(s shard.Shard, who string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	assert.Empty(l.w.t, l.owner[s.Number], "owner of shard %d when %s begins", s.Number, who)
	assert.GreaterOrEqual(l.w.t, s.Token, l.token[s.Number], "token of shard %d", s.Number)
	l.owner[s.Number], l.token[s.Number] = who, s.Token
	l.starts++
}

func (l *ledger) end(s shard.Shard) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.owner, s.Number)
}

// begun returns how often work was begun since it was asked before.
func (l *ledger) begun() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.starts
	l.starts = 0
	return n
}

// becomes waits until these have all shards, as evenly as can be.
func (l *ledger) becomes(ids ...string) {
	l.w.t.Helper()
	require.Eventually(l.w.t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		count := map[string]int{}
		for _, o := range l.owner {
			count[o]++
		}
		sum := 0
		for _, id := range ids {
			if n := count[id]; n < l.shards/len(ids) || n > (l.shards+len(ids)-1)/len(ids) {
				return false
			}
			sum += count[id]
		}
		return sum == l.shards && len(count) == len(ids)
	}, patience, 5*time.Millisecond, "the shards become those of %v", ids)
}

// attendee is a member of a group.
type attendee struct {
	*session.Session
	group *shard.Group
	leave context.CancelFunc
	left  chan error
}

func (l *ledger) join(id string, s *session.Session) *attendee {
	l.w.t.Helper()
	g, err := shard.New(s, "orders", l.shards, &shard.Options{Member: id})
	require.NoError(l.w.t, err)
	ctx, leave := context.WithCancel(context.Background())
	a := &attendee{s, g, leave, make(chan error, 1)}
	go func() {
		a.left <- g.Run(ctx, func(ctx context.Context, s shard.Shard) error {
			l.begin(s, id)
			defer l.end(s)
			<-ctx.Done()
			return nil
		})
	}()
	l.w.t.Cleanup(leave)
	return a
}

func (w *bench) ledger(shards int) *ledger {
	return &ledger{w: w, shards: shards, owner: map[int]string{}, token: map[int]uint64{}}
}

// watched returns options that note the gaps of planned moves.
func (l *ledger) watched(ttl time.Duration) session.Options {
	return session.Options{TTL: ttl, Observer: &session.Observer{Move: func(m session.ShardMove) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if m.Planned {
			l.gap = max(l.gap, m.Gap)
		}
	}}}
}

func shardsMove(w *bench) {
	l := w.ledger(30)
	a := l.join("a", w.session(l.watched(0)))
	l.becomes("a")
	b := l.join("b", w.session(l.watched(0)))
	l.becomes("a", "b")
	require.Equal(w.t, 30+15, l.begun())

	link := adaptertest.Wrap(w.open(w.t))
	c := l.join("c", w.sessionOn(link, l.watched(2*w.minTTL)))
	l.becomes("a", "b", "c")
	require.Equal(w.t, 10, l.begun(), "no more shards moved than had to")

	link.Partition(true, true)
	l.becomes("a", "b")
	require.Equal(w.t, 10, l.begun())
	link.Heal()
	l.becomes("a", "b", "c")

	a.leave()
	l.becomes("b", "c")
	require.ErrorIs(w.t, <-a.left, context.Canceled)
	e, err := b.group.Explain(within(w.t, patience), 7)
	require.NoError(w.t, err)
	require.True(w.t, e.Alive)
	require.Equal(w.t, l.token[7], e.Token)
	w.t.Logf("longest gap of a planned move: %v", l.gap)

	require.NoError(w.t, c.Close())
	l.becomes("b")
	require.ErrorIs(w.t, <-c.left, session.ErrClosed)
	b.leave()
	<-b.left
	require.NoError(w.t, b.group.Destroy(within(w.t, patience)))
}

func manyShards(w *bench) {
	l := w.ledger(200)
	var all []*attendee
	var ids []string
	for i := range 5 {
		ids = append(ids, fmt.Sprint("m", i))
		all = append(all, l.join(ids[i], w.session(l.watched(0))))
		if i == 0 {
			l.becomes("m0")
		}
	}
	l.becomes(ids...)
	for i, a := range all {
		a.leave()
		<-a.left
		if rest := ids[i+1:]; len(rest) > 0 {
			l.becomes(rest...)
		}
	}
	require.NoError(w.t, all[0].group.Destroy(within(w.t, patience)))
}
