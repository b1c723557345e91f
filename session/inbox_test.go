// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/session"
)

func TestMessagesArriveOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		to, from := b.open(t, session.Options{}), b.open(t, session.Options{})
		id := current(t, to).ID()
		var got []string
		remove := to.Handle("yield", func(m session.Message) {
			if m.From != current(t, from).ID() || m.Name != "jobs/7" {
				t.Errorf("unexpected message %+v", m)
			}
			got = append(got, m.Body)
		})
		b.faults.Inject(func(c adaptertest.Call) bool { return c.Method == "Commit" && c.N%3 == 0 },
			adaptertest.Fault{Lose: true})
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprint(i))
			require.NoError(t, from.Send(t.Context(), id, session.Message{Kind: "yield", Name: "jobs/7", Body: want[i]}))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, want, got)
		remove()
		require.NoError(t, from.Send(t.Context(), id, session.Message{Kind: "yield", Name: "jobs/7"}))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, want, got)

		require.NoError(t, to.Close())
		require.ErrorIs(t, from.Send(t.Context(), id, session.Message{Kind: "yield"}), session.ErrGone)
		require.NoError(t, from.Close())
	})
}

func TestInboxOfAStuckProgramFills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		to, from := b.open(t, session.Options{}), b.open(t, session.Options{})
		id := current(t, to).ID()
		block := make(chan struct{})
		to.Handle("yield", func(session.Message) { <-block })
		var err error
		sent := 0
		for err == nil {
			err = from.Send(t.Context(), id, session.Message{Kind: "yield"})
			sent++
		}
		require.ErrorIs(t, err, session.ErrInboxFull)
		require.ErrorContains(t, err, "64 messages wait, limit 64")
		require.Greater(t, sent, 64)
		close(block)
		time.Sleep(time.Second)
		require.NoError(t, from.Send(t.Context(), id, session.Message{Kind: "yield"}))
		require.NoError(t, to.Close())
		require.NoError(t, from.Close())
	})
}

func TestSendHonoursItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		s := b.open(t, session.Options{})
		id := current(t, s).ID()
		b.faults.Partition(true, true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, s.Send(ctx, id, session.Message{Kind: "x"}), context.DeadlineExceeded)
		require.LessOrEqual(t, time.Since(start), 2*time.Second)
		b.faults.Heal()
		require.NoError(t, s.Close())
	})
}
