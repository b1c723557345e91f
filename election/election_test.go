// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package election_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// candidate is one process of a test, in virtual time.
type candidate struct {
	faults *adaptertest.Faults
	s      *session.Session
	e      *election.Election
}

func start(t *testing.T, mem *memory.Store, value string) *candidate {
	t.Helper()
	c := &candidate{faults: adaptertest.Wrap(mem)}
	var err error
	c.s, err = session.Open(t.Context(), c.faults, &session.Options{Clock: session.MonotonicClock()})
	require.NoError(t, err)
	c.e, err = election.New(c.s, "cron/report", &election.Options{Value: value})
	require.NoError(t, err)
	t.Cleanup(func() {
		c.faults.Heal()
		_ = c.s.Close()
		<-c.s.Done()
	})
	return c
}

func TestTermsFollowOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b := start(t, mem, "a"), start(t, mem, "b")
		_, err := a.e.Leader(t.Context())
		require.ErrorIs(t, err, election.ErrNoLeader)
		first, err := a.e.Campaign(t.Context())
		require.NoError(t, err)
		require.NoError(t, first.Check())
		next := make(chan *election.Term)
		go func() {
			term, err := b.e.Campaign(context.Background())
			if err != nil {
				t.Error(err)
			}
			next <- term
		}()
		synctest.Wait()
		require.NoError(t, first.Proclaim(t.Context(), "a, ready"))
		leader, err := b.e.Leader(t.Context())
		require.NoError(t, err)
		inc, err := a.s.Current(t.Context())
		require.NoError(t, err)
		require.Equal(t, election.Leader{Value: "a, ready", Token: first.Token(), Session: inc.ID()}, leader)

		require.NoError(t, first.Resign())
		require.NoError(t, first.Resign())
		require.ErrorIs(t, context.Cause(first.Context()), election.ErrResigned)
		require.ErrorIs(t, first.Check(), election.ErrResigned)
		require.ErrorIs(t, first.Proclaim(t.Context(), "still here"), election.ErrResigned)
		second := <-next
		require.Greater(t, second.Token(), first.Token())
		leader, err = a.e.Leader(t.Context())
		require.NoError(t, err)
		require.Equal(t, "b", leader.Value)
		require.NoError(t, second.Resign())
	})
}

func TestLeadGoesOnAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b := start(t, mem, "a"), start(t, mem, "b")
		ctx, cancel := context.WithCancelCause(t.Context())
		var who []string
		var last uint64
		lead := func(name string, c *candidate) chan error {
			done := make(chan error, 1)
			go func() {
				done <- c.e.Lead(ctx, func(ctx context.Context, term *election.Term) error {
					who = append(who, name)
					if term.Token() <= last {
						t.Errorf("token %d after %d", term.Token(), last)
					}
					last = term.Token()
					<-ctx.Done()
					return context.Cause(ctx)
				})
			}()
			synctest.Wait()
			return done
		}
		doneA, doneB := lead("a", a), lead("b", b)
		a.faults.Partition(true, true)
		time.Sleep(30 * time.Second)
		a.faults.Heal()
		time.Sleep(30 * time.Second)
		b.faults.Partition(true, true)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"a", "b", "a"}, who)
		b.faults.Heal()
		stop := errors.New("shutting down")
		cancel(stop)
		require.ErrorIs(t, <-doneA, stop)
		require.ErrorIs(t, <-doneB, stop)
		time.Sleep(time.Second)
		view, err := mem.Read(t.Context(), "quorate/election/")
		require.NoError(t, err)
		require.Empty(t, view.KVs)
	})
}

// The place is given up when the function has returned, and not before, also
// when it resigns; then the next in the line leads.
func TestResignWithinLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b := start(t, mem, "a"), start(t, mem, "b")
		finished := errors.New("finished")
		terms, tidy := 0, false
		done := make(chan error, 1)
		go func() {
			done <- a.e.Lead(t.Context(), func(ctx context.Context, term *election.Term) error {
				if terms++; terms == 2 {
					return finished
				}
				if err := term.Resign(); err != nil {
					t.Error(err)
				}
				<-ctx.Done()
				time.Sleep(time.Minute) // winding down
				if err := term.Check(); err != nil {
					t.Error("place lost while winding down:", err)
				}
				tidy = true
				return nil
			})
		}()
		synctest.Wait()
		term, err := b.e.Campaign(t.Context())
		require.NoError(t, err)
		require.True(t, tidy)
		require.NoError(t, term.Resign())
		require.ErrorIs(t, <-done, finished)
		require.Equal(t, 2, terms)
	})
}

func TestWorkThatDoesNotReturnKeepsThePlaceAndIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		var stuck []session.Place
		s, err := session.Open(t.Context(), mem, &session.Options{
			Clock:    session.MonotonicClock(),
			Observer: &session.Observer{Stuck: func(p session.Place) { stuck = append(stuck, p) }},
		})
		require.NoError(t, err)
		e, err := election.New(s, "cron/report", nil)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		deaf := errors.New("deaf")
		err = e.Lead(ctx, func(_ context.Context, term *election.Term) error {
			time.Sleep(time.Hour)
			if term.Check() != nil {
				t.Error("place given up under the work")
			}
			return deaf
		})
		require.ErrorIs(t, err, deaf)
		require.NoError(t, s.Close())
		require.Len(t, stuck, 1)
		require.ErrorIs(t, stuck[0].Cause, context.DeadlineExceeded)
		require.Equal(t, "cron/report", stuck[0].Name)
	})
}

func TestCampaignThatLosesItsSessionDoesNotLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a, b := start(t, mem, "a"), start(t, mem, "b")
		term, err := a.e.Campaign(t.Context())
		require.NoError(t, err)
		lost := make(chan error, 1)
		go func() {
			_, err := b.e.Campaign(context.Background())
			lost <- err
		}()
		synctest.Wait()
		inc, err := b.s.Current(t.Context())
		require.NoError(t, err)
		mem.Expire(inc.Lease())
		require.NoError(t, term.Resign())
		require.ErrorIs(t, <-lost, session.ErrLost)
		view, err := mem.Read(t.Context(), "quorate/election/")
		require.NoError(t, err)
		require.Empty(t, view.KVs)
	})
}

func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a := start(t, mem, "a")
		ctx, cancel := context.WithCancel(t.Context())
		var seen []string
		var tokens []uint64
		done := make(chan error, 1)
		go func() {
			for leader, err := range a.e.Observe(ctx) {
				if err != nil {
					done <- err
					return
				}
				if leader.Nobody() {
					seen = append(seen, "nobody")
				} else {
					seen = append(seen, leader.Value)
					tokens = append(tokens, leader.Token)
				}
			}
			done <- nil
		}()
		synctest.Wait()
		for range 3 {
			term, err := a.e.Campaign(t.Context())
			require.NoError(t, err)
			synctest.Wait()
			require.NoError(t, term.Proclaim(t.Context(), "a!"))
			synctest.Wait()
			require.NoError(t, term.Proclaim(t.Context(), "a!"), "no news")
			synctest.Wait()
			require.NoError(t, term.Resign())
			synctest.Wait()
		}
		require.Equal(t, "nobody a a! nobody a a! nobody a a! nobody", strings.Join(seen, " "))
		for i := 1; i < len(tokens); i++ {
			require.GreaterOrEqual(t, tokens[i], tokens[i-1])
		}
		cancel()
		require.ErrorIs(t, <-done, context.Canceled, "never ends silently")
	})
}

func TestProclaimWithALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a := start(t, mem, "a")
		term, err := a.e.Campaign(t.Context())
		require.NoError(t, err)
		a.faults.Inject(func(c adaptertest.Call) bool { return c.Method == "Commit" }, adaptertest.Fault{Lose: true, Times: 1})
		require.NoError(t, term.Proclaim(t.Context(), "news"))
		// Late ones must not overwrite what came after them.
		a.faults.Inject(func(c adaptertest.Call) bool { return c.Method == "Commit" },
			adaptertest.Fault{Before: 5 * time.Second, Late: true, Times: 1})
		require.NoError(t, term.Proclaim(t.Context(), "late"))
		require.NoError(t, term.Proclaim(t.Context(), "newest"))
		a.faults.Wait()
		leader, err := a.e.Leader(t.Context())
		require.NoError(t, err)
		require.Equal(t, "newest", leader.Value)
		require.NoError(t, term.Resign())
	})
}

func TestOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		c := start(t, mem, "")
		limit := mem.Limits().MaxValue / 2
		_, err := election.New(c.s, "x", &election.Options{Value: strings.Repeat("v", limit+1)})
		require.ErrorContains(t, err, "Options.Value has 262145 bytes, limit 262144")
		_, err = election.New(nil, "x", nil)
		require.ErrorContains(t, err, "session is nil")
		_, err = election.New(c.s, strings.Repeat("n", 256), nil)
		require.ErrorContains(t, err, "limit 255")
	})
}
