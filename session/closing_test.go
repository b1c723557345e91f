// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// onTheWay are what a call may meet while the session is closed.
var onTheWay = map[string]adaptertest.Fault{
	"slow request":    {Before: 300 * time.Millisecond},
	"slow answer":     {After: 300 * time.Millisecond},
	"late write":      {Before: 3 * time.Second, Late: true},
	"lost answer":     {After: 300 * time.Millisecond, Lose: true},
	"hanging request": {Before: time.Hour},
}

// Close in the middle of the creation of a slot waits for whoever is at it, and
// nothing is left: no lease, no loop, and no key, though an adopted lease lives on.
func TestCloseDuringACreate(t *testing.T) {
	for name, fault := range onTheWay {
		for _, queued := range []bool{false, true} {
			for _, adopted := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, queued %v, adopted %v", name, queued, adopted), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { closeDuringACreate(t, fault, queued, adopted) })
				})
			}
		}
	}
}

func closeDuringACreate(t *testing.T, fault adaptertest.Fault, queued, adopted bool) {
	b := newBench()
	failFast(b.mem)
	other := b.open(t, session.Options{})
	if queued {
		lock(t, other)
	}
	opts := session.Options{Clock: b.machine}
	if adopted {
		lease, err := b.mem.Grant(t.Context(), session.DefaultTTL)
		require.NoError(t, err)
		opts.Lease = lease.ID
	}
	far := adaptertest.Wrap(b.mem)
	s, err := session.Open(t.Context(), far, &opts)
	require.NoError(t, err)
	fault.Times = 1
	far.Inject(creates("quorate/mutex/"), fault)
	m, err := mutex.New(s, "jobs/7", nil)
	require.NoError(t, err)
	locked := make(chan error, 1)
	go func() {
		h, err := m.Lock(context.Background())
		if err == nil { // it came to be held while the session was closing
			if !errors.Is(context.Cause(h.Context()), session.ErrClosed) {
				t.Error("held, and not told that the session closes")
			}
			err = errors.Join(session.ErrClosed, h.Unlock())
		}
		locked <- err
	}()
	time.Sleep(100 * time.Millisecond) // on its way
	began := time.Now()
	require.NoError(t, s.Close())
	require.Less(t, time.Since(began), 5*time.Second)
	require.ErrorIs(t, <-locked, session.ErrClosed)
	far.Wait()
	require.NoError(t, other.Close())
	if adopted {
		require.Contains(t, b.mem.Leases(), opts.Lease)
		view, err := b.mem.Read(t.Context(), "quorate/")
		require.NoError(t, err)
		require.Empty(t, view.KVs)
		require.NoError(t, b.mem.Revoke(t.Context(), opts.Lease))
	}
	b.requireEmpty(t)
}

// Close in the middle of the opening of the next lease, at each of its calls.
func TestCloseDuringAnOpening(t *testing.T) {
	for name, fault := range onTheWay {
		for _, method := range []string{"Grant", "Commit"} {
			t.Run(method+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench()
					failFast(b.mem)
					s := b.open(t, session.Options{})
					b.faults.Inject(func(c adaptertest.Call) bool { return c.Method == method }, fault)
					b.mem.Expire(current(t, s).Lease())
					time.Sleep(100 * time.Millisecond) // on its way
					require.Equal(t, session.Lost, s.State())
					began := time.Now()
					require.NoError(t, s.Close())
					require.Less(t, time.Since(began), time.Second)
					require.Equal(t, session.Closed, s.State())
					b.faults.Wait()
					time.Sleep(session.DefaultTTL + time.Second) // a lease that nobody knows of runs out
					b.requireEmpty(t)
				})
			})
		}
	}
}

func lock(t *testing.T, s *session.Session) *mutex.Hold {
	t.Helper()
	m, err := mutex.New(s, "jobs/7", nil)
	require.NoError(t, err)
	h, err := m.Lock(t.Context())
	require.NoError(t, err)
	go func() { // lets go when it is told
		<-h.Context().Done()
		_ = h.Unlock()
	}()
	return h
}

// Close called by the work that it waits for, by the health function, or by the
// handler of a message does not wait for itself: not longer than CloseTimeout.
func TestCloseFromWithin(t *testing.T) {
	const timeout = 2 * time.Second
	for name, call := range map[string]func(b *bench, s *session.Session, doClose func()){
		"work": func(_ *bench, s *session.Session, doClose func()) {
			m, err := mutex.New(s, "jobs/7", nil)
			if err == nil {
				_ = m.Do(context.Background(), func(context.Context, *mutex.Hold) error { doClose(); return nil })
			}
		},
		"handler": func(_ *bench, s *session.Session, doClose func()) {
			s.Handle("stop", func(session.Message) { doClose() })
			inc, err := s.Current(context.Background())
			if err == nil {
				_ = s.Send(context.Background(), inc.ID(), session.Message{Kind: "stop"})
			}
		},
		"health": nil, // see below
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				failFast(b.mem)
				var s *session.Session
				opened := make(chan struct{})
				returned := make(chan time.Duration, 1)
				doClose := func() {
					<-opened
					began := time.Now()
					_ = s.Close()
					returned <- time.Since(began)
				}
				opts := session.Options{CloseTimeout: timeout}
				asked := 0
				if call == nil {
					opts.Health = func(context.Context) error {
						if asked++; asked == 2 { // the first time nothing is open yet
							doClose()
						}
						return nil
					}
				}
				s = b.open(t, opts)
				close(opened)
				if call != nil {
					call(b, s, doClose)
				}
				require.LessOrEqual(t, <-returned, timeout)
				require.NoError(t, s.Close())
				require.Equal(t, session.Closed, s.State())
				b.requireEmpty(t)
			})
		})
	}
}

// What is held at the end is told to be given back, or lost, before the session
// is told to be closed, and its place is free at once.
func TestEndIsToldAtShutdown(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprint("backend away ", away), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				failFast(b.mem)
				var told []string
				say := func(what string) func(session.Place) {
					return func(p session.Place) { told = append(told, what+" "+p.Name) }
				}
				s := b.open(t, session.Options{Observer: &session.Observer{
					Acquire: say("acquired"), Release: say("released"), Lose: say("lost"),
					State: func(c session.StateChange) { told = append(told, c.To.String()) },
				}})
				h := lock(t, s)
				if away {
					b.faults.Partition(true, true)
				}
				err := s.Close()
				if away {
					require.ErrorIs(t, err, adapters.ErrUnknown)
					<-s.Done()
					b.faults.Heal()
					_ = s.Close() // waits for what is still to be told
				} else {
					require.NoError(t, err)
					require.Empty(t, b.mem.Leases(), "the place is free at once")
				}
				require.ErrorIs(t, context.Cause(h.Context()), session.ErrClosed)
				all := strings.Join(told, ", ")
				require.Regexp(t, `^active, acquired jobs/7, (jeopardy, )?released jobs/7, (jeopardy, )?(lost, )?closed$`, all)
			})
		})
	}
}
