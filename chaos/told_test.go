// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/session"
)

// told is how the error of a call is written down: as it is, if it is the cause of
// the call's context, which may be nil, or what the call's documentation says that
// may come; as unexpected otherwise. What the locks of others return is not ours to
// judge.
func (c *client) told(ctx context.Context, err error, may ...error) string {
	if err == nil || isPeer(c.Plant) {
		return text(err)
	}
	if ctx != nil && ctx.Err() != nil {
		may = append(may, context.Cause(ctx))
	}
	for _, m := range may {
		if errors.Is(err, m) {
			return text(err)
		}
	}
	return history.Unexpected + text(err)
}

// toldEnd is the same for something that goes on until its context ends: that is
// no error.
func (c *client) toldEnd(ctx context.Context, err error) string {
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return ""
	}
	return c.told(nil, err)
}

func TestTold(t *testing.T) {
	over, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-over.Done()
	late, lost := fmt.Errorf("lock: %w", context.DeadlineExceeded), fmt.Errorf("lock: %w", session.ErrLost)
	c, theirs := &client{}, &client{orders: orders{Plant: plantMutex}}
	for _, x := range []struct {
		got  string
		err  error
		want string
	}{
		{c.told(over, nil), nil, ""},
		{c.told(over, late), late, ""},
		{c.told(t.Context(), late), late, history.Unexpected}, // whose?
		{c.told(nil, late), late, history.Unexpected},
		{c.told(t.Context(), lost, session.ErrLost), lost, ""},
		{c.told(over, lost, session.ErrClosed), lost, history.Unexpected},
		{theirs.told(t.Context(), lost), lost, ""},
	} {
		require.Equal(t, x.want+text(x.err), x.got)
	}
	require.Empty(t, c.toldEnd(over, late))
	require.Equal(t, history.Unexpected+text(lost), c.toldEnd(over, lost))
	require.Equal(t, history.Unexpected+text(late), c.toldEnd(t.Context(), late))
}
