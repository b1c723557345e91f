// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"math/rand/v2"

	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/session"
)

// useSession asks whether the session is trusted. Each yes is told under the
// name that its keys have at the server, to be compared with when they went.
func useSession(ctx context.Context, c *client, _ *rand.Rand) {
	for ctx.Err() == nil {
		inc, err := c.session.Current(ctx)
		if err != nil {
			if ctx.Err() == nil { // nobody has closed it
				id := c.log.Call(history.Session, "current")
				c.log.Tell(history.Event{What: history.Failed, ID: id, Err: history.Unexpected + text(err)})
			}
			return
		}
		id := c.log.Call(history.Session, inc.ID())
		for ctx.Err() == nil {
			asked := history.Now()
			if err := inc.Check(); err != nil {
				c.log.Tell(history.Event{What: history.Lost, ID: id, Err: c.told(nil, err, session.ErrLost)})
				break
			}
			c.log.TellAt(asked, history.Event{What: history.Checked, Kind: history.Session, Name: inc.ID(), ID: id})
			pause(ctx, asks)
		}
	}
}
