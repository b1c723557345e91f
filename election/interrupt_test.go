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

	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/session"
)

// failFast ends what a failed test has left behind: its sessions would renew for
// ever in virtual time, and nobody would hear why it failed.
func failFast(mem *memory.Store) {
	time.AfterFunc(10*time.Hour, func() { _ = mem.Close() })
}

// Whatever ends a term, and however often it is said, Lead campaigns again.
func TestInterruptedTwiceLeadsAgain(t *testing.T) {
	lose := func(mem *memory.Store, c *candidate) {
		inc, err := c.s.Current(context.Background())
		if err == nil {
			mem.Expire(inc.Lease())
		}
		synctest.Wait()
	}
	for name, interrupt := range map[string]func(mem *memory.Store, c *candidate, term *election.Term){
		"resigns twice": func(_ *memory.Store, _ *candidate, term *election.Term) {
			_, _ = term.Resign(), term.Resign()
		},
		"is lost, then resigns": func(mem *memory.Store, c *candidate, term *election.Term) {
			lose(mem, c)
			_ = term.Resign()
		},
		"resigns, then is lost": func(mem *memory.Store, c *candidate, term *election.Term) {
			_ = term.Resign()
			lose(mem, c)
		},
		"is lost twice": func(mem *memory.Store, c *candidate, _ *election.Term) {
			lose(mem, c)
			lose(mem, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := memory.New(nil)
				failFast(mem)
				a := start(t, mem, "a")
				finished, terms := errors.New("finished"), 0
				err := a.e.Lead(t.Context(), func(ctx context.Context, term *election.Term) error {
					if terms++; terms == 5 {
						return finished
					}
					interrupt(mem, a, term)
					<-ctx.Done()
					return context.Cause(ctx)
				})
				require.ErrorIs(t, err, finished)
				require.Equal(t, 5, terms)
			})
		})
	}
}

// A tripwire is a context that has something happen at its nth use. Uses of a
// context stand between all steps of whoever was given it.
type tripwire struct {
	context.Context
	uses, nth atomic.Int64
	trip      func()
}

func (w *tripwire) Done() <-chan struct{} {
	if w.uses.Add(1) == w.nth.Load() {
		w.trip()
	}
	return w.Context.Done()
}

// The lease ends at one step of a campaign after another, up to the function's
// beginning, and all of the session has heard of it before the next step. The
// function must not run on under a term that is lost: its context ends, even if
// the loss came before there was a function that could be told.
func TestLossAtAnyMomentIsTold(t *testing.T) {
	for _, rival := range []bool{false, true} {
		t.Run(fmt.Sprint("rival ", rival), func(t *testing.T) {
			inTime, told := 0, 0
			for n := int64(1); ; n++ {
				tripped := false
				synctest.Test(t, func(t *testing.T) {
					mem := memory.New(nil)
					failFast(mem)
					a := start(t, mem, "a")
					var other *election.Term
					if rival {
						b := start(t, mem, "b")
						var err error
						other, err = b.e.Campaign(t.Context())
						require.NoError(t, err)
						time.AfterFunc(time.Second, func() { _ = other.Resign() })
					}
					inc, err := a.s.Current(t.Context())
					require.NoError(t, err)
					ctx := &tripwire{Context: t.Context()}
					ctx.nth.Store(n)
					ctx.trip = func() {
						tripped = true
						mem.Expire(inc.Lease())
						synctest.Wait()
					}
					finished := errors.New("finished")
					err = a.e.Lead(ctx, func(ctx context.Context, term *election.Term) error {
						if term.Context().Err() != nil {
							told++
						}
						select {
						case <-ctx.Done():
							require.ErrorIs(t, context.Cause(ctx), session.ErrLost)
							require.Error(t, term.Check())
							return context.Cause(ctx)
						case <-time.After(time.Minute):
						}
						require.NoError(t, term.Check(), "at use %d: it has lost its term and was not told", n)
						inTime++
						return finished
					})
					require.ErrorIs(t, err, finished)
				})
				if !tripped {
					break
				}
			}
			t.Logf("%d moments, in %d of them the function began under a term that was lost", inTime-1, told)
			require.Greater(t, inTime, 5)
			require.Positive(t, told, "the loss never came between the term and its function")
		})
	}
}
