// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/quorate/quorate/adapters"
)

// A verbatim line on a backend whose own lock recipe is one key, as api.Lock and
// "consul lock" have it on Consul: whoever puts the key on his lease owns it.
// There is no queue, so no order: all who wait try when the key is free. Others
// release the key and leave it there; we delete it, so that Created, and with it
// the token, is that of each new hold.

// errTaken means that somebody else owns the key, for who does not wait.
var errTaken = errors.New("taken by somebody else")

// take makes the lock key the slot's.
func (s *Slot) take(ctx context.Context, value string, wait bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A waiter whose session ends has nothing to wait for.
	defer context.AfterFunc(s.inc.Context(), func() { cancel(context.Cause(s.inc.Context())) })()
	// One at a time of this session: the key does not tell which of several
	// holds of a lease it belongs to, and an unknown outcome is settled by it.
	free, err := s.inc.Session().Alone(ctx, s.line.dir, false)
	if free == nil && err == nil && wait {
		s.work.Waiting()
		free, err = s.inc.Session().Alone(ctx, s.line.dir, true)
	}
	if err != nil {
		return err
	}
	if free == nil {
		return errTaken
	}
	s.free = free
	pause := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(5*time.Millisecond), backoff.WithMaxInterval(500*time.Millisecond), backoff.WithMaxElapsedTime(0))
	for {
		kv, err := s.untilFree(ctx, wait)
		if err != nil {
			return err
		}
		if err = s.clear(ctx, kv); err == nil {
			err = s.create(ctx, value)
		}
		switch {
		case err == nil:
			return s.inc.Check()
		case !errors.Is(err, adapters.ErrConflict):
			return err
		}
		// Somebody was faster, or the key is free but within the lock delay of a
		// holder that died.
		if err := s.inc.Verify(ctx); err != nil {
			return err
		}
		if !wait {
			return errTaken
		}
		if err := sleep(ctx, pause.NextBackOff()); err != nil {
			return err
		}
	}
}

// untilFree returns the key as it is once it hangs on no lease: its Mod is 0 if
// it is not there. If that is not so now and wait is not set, it returns errTaken.
func (s *Slot) untilFree(ctx context.Context, wait bool) (adapters.KV, error) {
	view, err := s.inc.Read(ctx, s.line.dir)
	if err != nil {
		return adapters.KV{}, err
	}
	kv, _ := view.Get(s.line.dir)
	if err := s.line.checkTag(kv); err != nil || kv.Lease == "" {
		return kv, err
	}
	if !wait {
		return kv, errTaken
	}
	s.work.Waiting()
	for view, err := range s.line.s.Store().Watch(ctx, s.line.dir) {
		if err != nil {
			return kv, fmt.Errorf("watching the lock key: %w", err)
		}
		if kv, _ = view.Get(s.line.dir); kv.Lease == "" {
			return kv, s.line.checkTag(kv)
		}
	}
	return kv, context.Cause(ctx)
}

// checkTag refuses a key that is there for something else.
func (l *Line) checkTag(kv adapters.KV) error {
	if kv.Mod != 0 && kv.Tag != l.tag {
		return fmt.Errorf("%w: key %q exists and is no lock: its flags are %#x, those of a lock are %#x", adapters.ErrInvalid, kv.Key, kv.Tag, l.tag)
	}
	return nil
}

// clear deletes the key that somebody has released, if it is there.
func (s *Slot) clear(ctx context.Context, kv adapters.KV) error {
	if kv.Mod == 0 {
		return nil
	}
	_, err := s.inc.Commit(ctx, adapters.Tx{
		If:   []adapters.Cond{adapters.Unchanged(kv.Key, kv.Mod)},
		Then: []adapters.Op{adapters.Delete(kv.Key)},
	})
	return err
}

func (s *Slot) create(ctx context.Context, value string) error {
	s.key = s.line.dir
	s.inc.Own(s.key)
	put := adapters.PutLeased(s.key, s.line.encode(s.inc.ID(), value), s.inc.Lease())
	put.Tag = s.line.tag
	res, err := s.inc.Commit(ctx, adapters.Tx{
		If:    []adapters.Cond{adapters.Absent(s.key)},
		Then:  []adapters.Op{put},
		Reads: []string{s.key},
	})
	if err != nil {
		if !errors.Is(err, adapters.ErrUnknown) {
			s.key = "" // not written, and never will be
		}
		return err
	}
	kv, there := res.Views[0].Get(s.key)
	if !there || kv.Lease != s.inc.Lease() {
		s.key = "" // it was ours, and went while that was settled
		return fmt.Errorf("%w: lock key is gone again", adapters.ErrConflict)
	}
	s.created = kv.Created
	return nil
}
