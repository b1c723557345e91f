// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package mutex provides locks among processes, and among goroutines of one
// process just the same.
//
//	m, err := mutex.New(s, "jobs/7", nil)
//	...
//	err = m.Do(ctx, func(ctx context.Context, h *mutex.Hold) error {
//		return store.Write(ctx, h.Token(), result) // ctx ends before anybody else can hold the lock
//	})
//
// # What is guaranteed
//
//   - One holder: while Hold.Check returns nil, nobody else holds the lock.
//   - The context of a hold ends before anybody else can be given the lock: at
//     a loss by the session's margin, at a release by waiting for the work.
//   - Tokens of a name strictly increase from holder to holder, also across
//     deletes, restarts and lost sessions. They fit a signed 64-bit integer.
//   - First come, first served, among all processes.
//   - A Lock that was given up leaves nothing behind.
//
// # What is not guaranteed
//
//   - A process that is paused for longer than its lease may wake up in the
//     middle of its critical section. Its context ends a moment later; only
//     Check is right at once, and between a Check and a write there is always
//     room for a pause. Only a resource that refuses smaller tokens is safe.
//   - Tokens start again when a cluster is rebuilt from nothing, restored
//     without a revision bump, or an embedded store has no folder.
//   - Whoever deletes the lock's keys by hand overrides all of this.
//   - Speed on an etcd that is never compacted: each Lock reads its queue, and
//     etcd walks over every slot that was there since its last compaction, at
//     some 65 ns each. Have it compact by itself.
//   - A backend that ends leases early (adapters.Limits.EarlyEnd; etcd does it to
//     leases that a session has adopted) can give the lock to a second holder
//     before the first has stopped trusting it.
//   - The lock is not reentrant. A goroutine that locks a name twice waits for
//     itself, until its context ends.
//
// # States of a hold
//
//	Lock -> waiting -> held -> released        (Unlock, or Do's function returned)
//	           |         |
//	           |         +---> lost            (session lost: Context ends with session.ErrLost)
//	           +-> given up                    (context over, or session.ErrLost)
//
// # Failures
//
//	what happens                    Lock                      holder
//	backend away, within the TTL    waits                     keeps the lock
//	backend away, longer            session.ErrLost           context ends: session.ErrLost
//	context over                    its cause, within 1 s     not concerned
//	process killed                  -                         lock free when the lease ends
//	process stopped and woken       session.ErrLost           Check fails at once, context ends
//	session closed                  session.ErrClosed         context ends; Close waits for Unlock
//	Unlock not confirmed            -                         adapters.ErrUnknown; goes on by itself
package mutex
