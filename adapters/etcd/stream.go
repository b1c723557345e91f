// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A stream is what the open watches of a Store share: one watcher of the etcd
// client, with one gRPC stream to one member.
//
// The client moves a stream whose connection breaks. It does not notice a
// member that hangs, or a link that swallows packets: there the stream is
// silent, and so is a stream on which nothing happens. The prober tells the two
// apart, and then the Store drops the whole watcher and makes a new one, which
// the balancer places on the next member. Closing the old one ends the channel
// of every watch on it, so each starts again and reads.
type stream struct {
	watcher clientv3.Watcher

	// patience is for an answer that should come at once. It doubles from one
	// stream on which nothing ever came to the next: a server that is merely
	// slow, with logins to check for instance, must not be asked again and
	// again for what it is about to answer.
	patience time.Duration
	answered atomic.Bool // something came

	// heard is when anything came, asked when the first question was sent to
	// which no answer has come, or 0. Both are times since Store.epoch.
	heard, asked atomic.Int64

	// want is a revision that the cluster had passed a while before the
	// question was sent. A member whose disk is stuck answers, but from the
	// past; it is no better than one that does not answer.
	want atomic.Int64

	// waiting counts the watches that stand ready to receive. While all are
	// with their readers nobody would hear an answer, so nothing can be said.
	waiting atomic.Int32
}

func (s *Store) now() int64 { return int64(time.Since(s.epoch)) }

func (s *Store) newStream(patience time.Duration) *stream {
	st := &stream{watcher: clientv3.NewWatcher(s.client), patience: patience}
	st.heard.Store(s.now())
	return st
}

func (st *stream) close() {
	_ = st.watcher.Close() // reports only how the stream ended
}

// ask notes that a question is sent now, which an answer of revision want, or
// of a newer one, satisfies.
func (s *Store) ask(st *stream, want int64) {
	if st.asked.Load() == 0 {
		st.want.Store(want)
		st.asked.CompareAndSwap(0, max(s.now(), 1))
	}
}

// hear notes what came, which is an answer if it is new enough.
func (s *Store) hear(st *stream, rev int64) {
	st.heard.Store(s.now())
	if !st.answered.Load() { // all watches write here
		st.answered.Store(true)
	}
	if rev >= st.want.Load() {
		st.asked.Store(0)
	}
}

// join counts a watch in. The first one starts the stream and the prober.
func (s *Store) join() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches++
	if s.watches > 1 {
		return
	}
	s.cur = s.newStream(s.patience)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	s.stop = func() { cancel(); <-done }
	go func() {
		defer close(done)
		s.probe(ctx)
	}()
}

// leave counts a watch out. The last one ends the stream and the prober, and
// returns when they are gone.
func (s *Store) leave() {
	s.mu.Lock()
	s.watches--
	if s.watches > 0 {
		s.mu.Unlock()
		return
	}
	st, stop := s.cur, s.stop
	s.cur, s.stop = nil, nil
	s.mu.Unlock()
	stop()
	st.close()
}

// current returns the stream of now. Only watches that have joined call it.
func (s *Store) current() *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cur
}

// replace moves all watches off st, if they are on it still.
func (s *Store) replace(st *stream) {
	s.mu.Lock()
	if s.cur != st {
		s.mu.Unlock()
		return
	}
	patience := s.patience
	if !st.answered.Load() {
		patience = min(2*st.patience, maxTry)
	}
	s.cur = s.newStream(patience)
	s.mu.Unlock()
	st.close()
}

func (s *Store) probe(ctx context.Context) {
	tick := time.NewTicker(s.patience / 2)
	defer tick.Stop()
	var past int64 // the newest revision seen at the last tick
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if st := s.current(); st != nil && st.waiting.Load() > 0 {
			s.check(ctx, st, past)
		}
		past = s.seen.Load()
	}
}

// check asks a stream that has been silent for a sign of life, or gives it up
// if it has been asked and did not answer.
func (s *Store) check(ctx context.Context, st *stream, past int64) {
	now := s.now()
	switch asked := st.asked.Load(); {
	case asked != 0 && now-asked > int64(st.patience):
		s.opts.Logger.Info("etcd: watch stream does not answer or is behind, moving all watches",
			"silent", time.Duration(now-st.heard.Load()))
		s.replace(st)
	case asked == 0 && now-st.heard.Load() >= int64(s.opts.ProbeEvery):
		s.ask(st, past)
		// One small message each way, however many watches there are: the
		// answer carries no watch id, and the client hands it to all of them.
		// Failing to send it means that it stays unanswered.
		ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), st.patience)
		defer cancel()
		_ = st.watcher.RequestProgress(ctx)
	}
}
