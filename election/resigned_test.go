// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package election_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/election"
)

// A function that resigned and returns nil has asked for another campaign. That
// its term was lost meanwhile changes nothing about it.
func TestResignedAndLostLeadsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		a := start(t, mem, "a")
		finished, terms := errors.New("finished"), 0
		err := a.e.Lead(t.Context(), func(ctx context.Context, term *election.Term) error {
			if terms++; terms == 2 {
				return finished
			}
			if err := term.Resign(); err != nil {
				t.Error(err)
			}
			inc, err := a.s.Current(ctx)
			if err == nil {
				mem.Expire(inc.Lease())
			}
			synctest.Wait() // the session has heard of it
			return nil
		})
		require.ErrorIs(t, err, finished)
		require.Equal(t, 2, terms)
	})
}
