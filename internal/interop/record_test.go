// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// values: what the leader of one side says is what the other side reads.
func values(w *bench) {
	const key = "values/e"
	ours, err := election.New(w.ours(session.Options{}), key, &election.Options{Verbatim: true, Value: "ours"})
	require.NoError(w.t, err)
	theirs := concurrency.NewElection(w.theirs(), key)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	pull, stop := iter.Pull2(ours.Observe(ctx))
	defer stop()
	seen := theirs.Observe(ctx)
	weSee := func(value string) election.Leader {
		w.t.Helper()
		l, err, ok := pull()
		require.True(w.t, ok)
		require.NoError(w.t, err)
		require.Equal(w.t, value, l.Value)
		if !l.Nobody() {
			now, err := ours.Leader(w.within())
			require.NoError(w.t, err)
			require.Equal(w.t, l, now)
		}
		return l
	}
	theySee := func(value string) {
		w.t.Helper()
		resp, err := theirs.Leader(w.within())
		require.NoError(w.t, err)
		require.Equal(w.t, value, string(resp.Kvs[0].Value))
		for {
			select {
			case resp, ok := <-seen:
				require.True(w.t, ok, "their observer ended")
				if string(resp.Kvs[0].Value) == value {
					return
				}
			case <-time.After(patience):
				require.FailNow(w.t, "their observer is late", "%q has not come in %v", value, patience)
			}
		}
	}

	require.True(w.t, weSee("").Nobody())
	_, err = theirs.Leader(w.within())
	require.ErrorIs(w.t, err, concurrency.ErrElectionNoLeader)

	term, err := ours.Campaign(w.within())
	require.NoError(w.t, err)
	first := weSee("ours")
	require.Equal(w.t, term.Token(), first.Token)
	theySee("ours")
	for _, value := range []string{"ours, moved", "bytes \xff\x00", "{\"v\":1}"} { // bare, whatever it looks like
		require.NoError(w.t, term.Proclaim(w.within(), value))
		require.Equal(w.t, first.Token, weSee(value).Token)
		theySee(value)
	}

	led := make(chan error, 1)
	go func() { led <- theirs.Campaign(context.Background(), "theirs") }()
	w.until(key+"/", "both", func(v adapters.View) bool { return len(v.KVs) == 2 })
	require.Empty(w.t, led)
	require.NoError(w.t, given(term.Resign()))
	require.NoError(w.t, <-led)
	second := weSee("theirs")
	require.EqualValues(w.t, theirs.Rev()<<16, second.Token, "our token is their revision, with room below")
	require.Greater(w.t, second.Token, first.Token)
	theySee("theirs")
	require.NoError(w.t, theirs.Proclaim(w.within(), "theirs, moved"))
	require.Equal(w.t, second.Token, weSee("theirs, moved").Token)
	theySee("theirs, moved")
	require.NoError(w.t, theirs.Resign(w.within()))
	require.True(w.t, weSee("").Nobody())
}

// names: an escaped name has no slash, so none of our slots lies below another
// name of ours, where plain etcd users would take it for a contender.
func names(w *bench) {
	const prefix = "names"
	s := w.ours(session.Options{Prefix: prefix})
	theirs := w.theirs()
	for _, name := range []string{"a/b", "a/", "a//", "a/b/c", "a/../a", "a%", "a%2F", "/a", "a\x00", "a/%", "A", "..", " a"} {
		m, err := mutex.New(s, name, nil)
		require.NoError(w.t, err)
		hold, err := m.Lock(w.within())
		require.NoError(w.t, err)
		defer func() { require.NoError(w.t, given(hold.Unlock())) }()
	}
	for _, key := range []string{"a", "a/b", "a/b/c", "a/"} {
		m := concurrency.NewMutex(theirs, prefix+"/mutex/"+key)
		require.NoError(w.t, m.TryLock(w.within()), key)
		require.NoError(w.t, m.Unlock(w.within()))
	}
	// Their keys below a name of ours are not our contenders either.
	below := concurrency.NewMutex(theirs, prefix+"/mutex/n/deeper")
	require.NoError(w.t, below.TryLock(w.within()))
	m, err := mutex.New(s, "n", nil)
	require.NoError(w.t, err)
	hold, err := m.TryLock(w.within())
	require.NoError(w.t, err)
	require.NoError(w.t, given(hold.Unlock()))
	require.NoError(w.t, below.Unlock(w.within()))
}

// records are what others may have stored in a slot of a queue that is ours,
// and what we make of it.
var records = []struct{ stored, value, session string }{
	{`{"v":2,"session":"00ff","value":"newer","more":{"x":[1]},"flags":7}`, "newer", "00ff"},
	{`{"v":0,"session":"00ff","value":"older"}`, "", ""},
	{`{"v":"1"}`, "", ""},
	{"\xff{garbage", "", ""},
	{"[]", "", ""},
	{"null", "", ""},
	{"", "", ""},
}

// plant puts a slot of somebody else into dir, on a lease of its own.
func (w *bench) plant(dir string, i int) (key string) {
	w.t.Helper()
	lease, err := w.store.Grant(w.within(), ttl)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = w.store.Revoke(w.within(), lease.ID) })
	key = fmt.Sprintf("%s%02d-other", dir, 99-i) // later ones sort first
	_, err = w.store.Commit(w.within(), adapters.Tx{
		If:   []adapters.Cond{adapters.Absent(key)},
		Then: []adapters.Op{adapters.PutLeased(key, []byte(records[i].stored), lease.ID)},
	})
	require.NoError(w.t, err)
	return key
}

func (w *bench) delete(key string) {
	w.t.Helper()
	_, err := w.client.Delete(w.within(), key)
	require.NoError(w.t, err)
}

func versionsOfLocks(w *bench) {
	for _, backwards := range []bool{false, true} {
		prefix := fmt.Sprint("versions-locks-", backwards)
		dir := prefix + "/mutex/l/"
		s := w.ours(session.Options{Prefix: prefix})
		m, err := mutex.New(s, "l", nil)
		require.NoError(w.t, err)
		hold, err := m.Lock(w.within())
		require.NoError(w.t, err)
		var planted []string
		for i := range records {
			planted = append(planted, w.plant(dir, i))
		}
		_, err = m.TryLock(w.within())
		require.ErrorIs(w.t, err, mutex.ErrLocked)
		got := make(chan *mutex.Hold, 1)
		failed := make(chan error, 1)
		go func() {
			h, err := m.Lock(context.Background())
			if err != nil {
				failed <- err
			}
			got <- h
		}()
		w.until(dir, "the last one", func(v adapters.View) bool { return len(v.KVs) == len(records)+2 })
		require.NoError(w.t, given(hold.Unlock()))
		for i := range planted {
			require.Empty(w.t, got, "let in with %d ahead", len(planted)-i)
			_, err = m.TryLock(w.within())
			require.ErrorIs(w.t, err, mutex.ErrLocked)
			if backwards {
				i = len(planted) - 1 - i
			}
			w.delete(planted[i])
		}
		next := <-got
		require.Empty(w.t, failed)
		require.Greater(w.t, next.Token(), hold.Token())
		require.NoError(w.t, given(next.Unlock()))
	}
}

func versionsOfTerms(w *bench) {
	const prefix = "versions-terms"
	dir := prefix + "/election/e/"
	s := w.ours(session.Options{Prefix: prefix})
	e, err := election.New(s, "e", &election.Options{Value: "ours"})
	require.NoError(w.t, err)
	term, err := e.Campaign(w.within())
	require.NoError(w.t, err)
	var planted []string
	for i := range records {
		planted = append(planted, w.plant(dir, i))
	}
	ours, err := e.Leader(w.within())
	require.NoError(w.t, err)
	require.Equal(w.t, "ours", ours.Value)
	pull, stop := iter.Pull2(e.Observe(w.within()))
	defer stop()
	sees := func() election.Leader {
		w.t.Helper()
		l, err, ok := pull()
		require.True(w.t, ok)
		require.NoError(w.t, err)
		return l
	}
	require.Equal(w.t, ours, sees())
	led := make(chan *election.Term, 1)
	go func() {
		term, err := e.Campaign(context.Background())
		if err != nil {
			w.t.Error(err)
		}
		led <- term
	}()
	w.until(dir, "the last one", func(v adapters.View) bool { return len(v.KVs) == len(records)+2 })
	require.NoError(w.t, given(term.Resign()))
	last := ours.Token
	for i, key := range planted {
		resp, err := w.client.Get(w.within(), dir, clientv3.WithFirstCreate()...)
		require.NoError(w.t, err)
		require.Equal(w.t, key, string(resp.Kvs[0].Key))
		l := sees()
		require.Equal(w.t, records[i].value, l.Value, "%q", records[i].stored)
		require.Equal(w.t, records[i].session, l.Session)
		require.Greater(w.t, l.Token, last)
		require.EqualValues(w.t, resp.Kvs[0].CreateRevision<<16, l.Token)
		last = l.Token
		now, err := e.Leader(w.within())
		require.NoError(w.t, err)
		require.Equal(w.t, l, now)
		require.Empty(w.t, led)
		w.delete(key)
	}
	term = <-led
	require.NotNil(w.t, term)
	require.Equal(w.t, term.Token(), sees().Token)
	require.NoError(w.t, given(term.Resign()))
}
