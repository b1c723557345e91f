// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package election_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/session"
)

// Nothing that passes ends Lead, and when it has passed there is a leader again:
// each kind of call fails, hangs or loses its answer, for less and for more than
// a TTL, for the one that leads and the one that waits.
func TestTroubleThatPassesDoesNotEndLead(t *testing.T) {
	refused := errors.New("connection refused")
	for _, method := range []string{"", "Read", "Commit", "Grant", "Renew", "Revoke"} {
		for name, fault := range map[string]adaptertest.Fault{
			"fails":           {Err: refused},
			"unknown":         {Err: errors.Join(adapters.ErrUnknown, refused)},
			"loses answers":   {Lose: true},
			"hangs":           {Before: time.Hour},
			"answers in 3s":   {After: 3 * time.Second},
			"is applied late": {Before: 3 * time.Second, Late: true},
		} {
			if method != "" && method != "Commit" && errors.Is(fault.Err, adapters.ErrUnknown) {
				continue // only a Commit can say so
			}
			for _, lasts := range []time.Duration{4 * time.Second, 25 * time.Second} {
				t.Run(fmt.Sprintf("%q %s for %v", method, name, lasts), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { troubled(t, method, fault, lasts) })
				})
			}
		}
	}
}

func troubled(t *testing.T, method string, fault adaptertest.Fault, lasts time.Duration) {
	mem := memory.New(nil)
	failFast(mem)
	both := []*candidate{start(t, mem, "a"), start(t, mem, "b")}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, len(both))
	leading := make([]atomic.Pointer[election.Term], len(both))
	leads := func() (n int) {
		for i := range leading {
			if term := leading[i].Load(); term != nil && term.Check() == nil {
				n++
			}
		}
		return n
	}
	for i, c := range both {
		go func() {
			ended <- c.e.Lead(ctx, func(ctx context.Context, term *election.Term) error {
				leading[i].Store(term)
				<-ctx.Done()
				return context.Cause(ctx)
			})
		}()
		synctest.Wait()
	}
	// In turn: the one that leads, the one that waits, and both.
	for round := range 3 {
		var mend []func()
		for i, c := range both {
			if round == i || round == 2 {
				mend = append(mend, c.faults.Inject(func(c adaptertest.Call) bool { return c.Method == method || method == "" && c.Method != "Watch" }, fault))
			}
		}
		time.Sleep(lasts / 2)
		if first := leading[0].Load(); round == 1 && first.Check() == nil {
			inc, err := both[0].s.Current(ctx)
			require.NoError(t, err)
			mem.Expire(inc.Lease()) // a change of leader in the middle of it
		}
		time.Sleep(lasts / 2)
		for _, heal := range mend {
			heal()
		}
		// One call may hang on until its deadline, and a lease that nobody could
		// give back has to run out.
		time.Sleep(15 * time.Second)
		synctest.Wait()
		require.Empty(t, ended, "round %d", round)
		require.Equal(t, 1, leads(), "leaders in round %d", round)
	}
	cancel()
	for range both {
		require.ErrorIs(t, <-ended, context.Canceled)
	}
	for _, c := range both {
		c.faults.Wait()
	}
}

// What does not pass ends Lead, and is said: nobody waits for a loop that died.
func TestTroubleThatDoesNotPassIsReturned(t *testing.T) {
	for _, method := range []string{"Watch", "Commit", ""} {
		t.Run(fmt.Sprintf("%q", method), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := memory.New(nil)
				failFast(mem)
				a, b := start(t, mem, "a"), start(t, mem, "b")
				ended := make(chan error, 2)
				for _, c := range []*candidate{a, b} {
					go func() {
						ended <- c.e.Lead(t.Context(), func(ctx context.Context, _ *election.Term) error {
							<-ctx.Done()
							return context.Cause(ctx)
						})
					}()
					synctest.Wait()
				}
				denied := errors.Join(adapters.ErrDenied, errors.New("right withdrawn"))
				a.faults.Inject(func(c adaptertest.Call) bool { return c.Method == method || method == "" }, adaptertest.Fault{Err: denied})
				if method != "" {
					inc, err := a.s.Current(t.Context())
					require.NoError(t, err)
					mem.Expire(inc.Lease()) // so that it has to ask
				}
				select {
				case err := <-ended:
					require.ErrorIs(t, err, adapters.ErrDenied)
				case <-time.After(time.Minute):
					t.Fatal("Lead neither returned nor has anything to do")
				}
				time.Sleep(session.DefaultTTL) // its lease may be there still
				leader, err := b.e.Leader(t.Context())
				require.NoError(t, err)
				require.Equal(t, "b", leader.Value)
				require.NoError(t, b.s.Close())
				require.ErrorIs(t, <-ended, session.ErrClosed)
			})
		})
	}
}
