// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/session"
)

const lockTag = 7 // of the foreign recipe

// A keyBench is a store on which foreign locks are one key.
type keyBench struct {
	mem *memory.Store
	net *adaptertest.Faults
}

func newKeyBench() *keyBench {
	limits := memory.DefaultLimits()
	limits.LockTag = lockTag
	mem := memory.New(&memory.Options{Limits: &limits})
	return &keyBench{mem: mem, net: adaptertest.Wrap(mem)}
}

func (b *keyBench) line(t *testing.T, s *session.Session) *Line {
	t.Helper()
	l, err := New(s, "mutex", "app/leader", true)
	require.NoError(t, err)
	return l
}

func (b *keyBench) session(t *testing.T) *session.Session {
	t.Helper()
	s, err := session.Open(t.Context(), b.net, &session.Options{Clock: session.MonotonicClock()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (b *keyBench) kv(t *testing.T) (adapters.KV, bool) {
	t.Helper()
	view, err := b.mem.Read(t.Context(), "app/leader")
	require.NoError(t, err)
	return view.Get("app/leader")
}

// isTake tells a call that puts the lock key on a lease, isLeave one that
// deletes it.
func isTake(c adaptertest.Call) bool { return onKey(c, adapters.OpPutLeased) }

func isLeave(c adaptertest.Call) bool { return onKey(c, adapters.OpDelete) }

func onKey(c adaptertest.Call, kind adapters.OpKind) bool {
	return c.Method == "Commit" && len(c.Tx.Then) > 0 && c.Tx.Then[0].Kind == kind && c.Tx.Then[0].Key == "app/leader"
}

func TestLockKeyIsTakenAndLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench()
		l := b.line(t, b.session(t))
		// Somebody else took it, with the same tag, and left it there.
		put := adapters.Put("app/leader", []byte("theirs"))
		put.Tag = lockTag
		_, err := b.mem.Commit(t.Context(), adapters.Tx{If: []adapters.Cond{adapters.Absent("app/leader")}, Then: []adapters.Op{put}})
		require.NoError(t, err)
		left, _ := b.kv(t)
		slot, err := l.Join(t.Context(), "ours")
		require.NoError(t, err)
		kv, _ := b.kv(t)
		require.Equal(t, "ours", string(kv.Value))
		require.Equal(t, uint64(lockTag), kv.Tag)
		require.Equal(t, Token(kv.Created), slot.Token())
		require.Greater(t, kv.Created, left.Mod, "a new hold is a new key")
		require.NoError(t, slot.Update(t.Context(), "ours still"))
		kv, _ = b.kv(t)
		require.Equal(t, uint64(lockTag), kv.Tag)
		require.Equal(t, Token(kv.Created), slot.Token())

		busy, err := l.Try(t.Context(), "")
		require.NoError(t, err)
		require.Nil(t, busy)
		require.NoError(t, slot.Leave())
		_, there := b.kv(t)
		require.False(t, there)
		free, err := l.Try(t.Context(), "")
		require.NoError(t, err)
		require.NotNil(t, free)
		require.NoError(t, free.Leave())
	})
}

func TestLockKeyOfSomethingElseIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench()
		l := b.line(t, b.session(t))
		_, err := b.mem.Commit(t.Context(), adapters.Tx{
			If: []adapters.Cond{adapters.Absent("app/leader")}, Then: []adapters.Op{adapters.Put("app/leader", []byte("settings"))},
		})
		require.NoError(t, err)
		before, _ := b.kv(t)
		_, err = l.Join(t.Context(), "")
		require.ErrorIs(t, err, adapters.ErrInvalid)
		_, err = l.Try(t.Context(), "")
		require.ErrorIs(t, err, adapters.ErrInvalid)
		after, _ := b.kv(t)
		require.Equal(t, before, after)
	})
}

// Holds of one session on one key cannot be told apart in the store, so what is
// unknown of one of them must not touch another.
func TestLockKeyUnknownOutcomes(t *testing.T) {
	t.Run("answer to the take is lost", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newKeyBench()
			l := b.line(t, b.session(t))
			b.net.Inject(isTake, adaptertest.Fault{Lose: true, Times: 1})
			slot, err := l.Join(t.Context(), "v")
			require.NoError(t, err, "it is settled that the key is ours")
			kv, _ := b.kv(t)
			require.Equal(t, Token(kv.Created), slot.Token())
			require.NoError(t, slot.Leave())
		})
	})
	t.Run("answer to the take is lost, and the key goes while that is settled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newKeyBench()
			l := b.line(t, b.session(t))
			b.net.Inject(isTake, adaptertest.Fault{Lose: true, Times: 1})
			reads := 0
			b.net.Inject(func(c adaptertest.Call) bool {
				if c.Method == "Read" && c.Name == "app/leader" {
					if reads++; reads == 3 { // is it free, is it ours, and then: since when
						_, err := b.mem.Commit(context.Background(), adapters.Tx{Then: []adapters.Op{adapters.Delete("app/leader")}})
						if err != nil {
							t.Error(err)
						}
					}
				}
				return false
			}, adaptertest.Fault{})
			slot, err := l.Join(t.Context(), "v")
			require.NoError(t, err)
			kv, there := b.kv(t)
			require.True(t, there)
			require.Equal(t, Token(kv.Created), slot.Token())
			require.NoError(t, slot.Leave())
		})
	})
	t.Run("take is given up and lands late", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newKeyBench()
			l := b.line(t, b.session(t))
			b.net.Inject(isTake, adaptertest.Fault{Before: 3 * time.Second, Late: true, Times: 1})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := l.Join(ctx, "late")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			slot, err := l.Join(t.Context(), "next") // of the same session
			require.NoError(t, err)
			time.Sleep(10 * time.Second) // all has landed or was refused
			kv, there := b.kv(t)
			require.True(t, there, "the cleaning up of one took the hold of another")
			require.Equal(t, "next", string(kv.Value))
			require.NoError(t, slot.Check())
			require.NoError(t, slot.Leave())
		})
	})
	t.Run("answer to the release is lost, and somebody else is quick", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newKeyBench()
			slot, err := b.line(t, b.session(t)).Join(t.Context(), "first")
			require.NoError(t, err)
			other := b.line(t, b.session(t))
			got := make(chan *Slot, 1)
			go func() {
				slot, err := other.Join(context.Background(), "other")
				if err != nil {
					t.Error(err)
				}
				got <- slot
			}()
			synctest.Wait()
			b.net.Inject(isLeave, adaptertest.Fault{After: 100 * time.Millisecond, Lose: true, Times: 1})
			require.NoError(t, slot.Leave(), "it is settled that we gave it back")
			require.NoError(t, (<-got).Leave())
		})
	})
	t.Run("answer to the release is late", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newKeyBench()
			l := b.line(t, b.session(t))
			slot, err := l.Join(t.Context(), "first")
			require.NoError(t, err)
			b.net.Inject(isLeave, adaptertest.Fault{Before: 3 * time.Second, Late: true, Times: 1})
			require.ErrorIs(t, slot.Leave(), adapters.ErrUnknown)
			next, err := l.Join(t.Context(), "second")
			require.NoError(t, err)
			time.Sleep(10 * time.Second)
			kv, there := b.kv(t)
			require.True(t, there, "the late release of one took the hold of another")
			require.Equal(t, "second", string(kv.Value))
			require.NoError(t, next.Leave())
		})
	})
}

func TestLockKeyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench()
		s, other := b.session(t), b.session(t)
		slot, err := b.line(t, s).Join(t.Context(), "first")
		require.NoError(t, err)

		// A context that ends leaves nothing, in the same session or in another.
		for _, s := range []*session.Session{s, other} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := b.line(t, s).Join(ctx, "")
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		// Nor does a session that is lost.
		waits := make(chan error, 1)
		go func() {
			_, err := b.line(t, other).Join(context.Background(), "")
			waits <- err
		}()
		synctest.Wait()
		inc, err := other.Current(t.Context())
		require.NoError(t, err)
		require.True(t, b.mem.Expire(inc.Lease()))
		require.ErrorIs(t, <-waits, session.ErrLost)

		got := make(chan *Slot, 1)
		go func() {
			slot, err := b.line(t, other).Join(context.Background(), "second")
			if err != nil {
				t.Error(err)
			}
			got <- slot
		}()
		synctest.Wait()
		require.Empty(t, got)
		require.NoError(t, slot.Leave())
		require.NoError(t, (<-got).Leave())
	})
}

// A free key within the lock delay of somebody who died is tried again.
func TestLockKeyIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench()
		l := b.line(t, b.session(t))
		began := time.Now()
		b.net.Inject(func(c adaptertest.Call) bool {
			return isTake(c) && time.Since(began) < 15*time.Second
		}, adaptertest.Fault{Err: errors.Join(adapters.ErrConflict, errors.New("lock delay"))})
		busy, err := l.Try(t.Context(), "")
		require.NoError(t, err)
		require.Nil(t, busy)
		slot, err := l.Join(t.Context(), strings.Repeat("v", 10))
		require.NoError(t, err)
		require.Less(t, time.Since(began), 16*time.Second)
		require.NoError(t, slot.Leave())
	})
}
