// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/quorate/quorate/adapters"
)

// plans reads the plan of a group as it grows.
type plans struct {
	store  adapters.Store
	keys   keys
	shards int // how many there are to be; 0 if whatever is stored is right
}

// errAgain means that what a head refers to has been replaced meanwhile.
var errAgain = errors.New("plan changed while it was read")

// follow yields the table of each plan, the present one first, or the empty
// table of epoch 0 if there is none yet. It may skip epochs and never goes back.
// It ends with the cause of ctx or with what keeps it from going on.
func (p *plans) follow(ctx context.Context) iter.Seq2[*Table, error] {
	return func(yield func(*Table, error) bool) {
		t := newTable(p.shards)
		first := true
		for view, err := range p.store.Watch(ctx, p.keys.head()) {
			if err == nil {
				var next *Table
				next, err = p.update(ctx, t, view)
				if err == nil && (first || next != t) {
					first, t = false, next
					if !yield(t, nil) {
						return
					}
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// callTimeout is how long one read may take. It is asked again then, and perhaps of
// another server.
const callTimeout = 2 * time.Second

func (p *plans) read(ctx context.Context, name string) (adapters.View, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return p.store.Read(ctx, name)
}

// update returns the table that view, of the head, stands for, given an older
// one. It asks the store for what is missing, until ctx ends.
func (p *plans) update(ctx context.Context, t *Table, view adapters.View) (*Table, error) {
	pause := backoff.NewExponentialBackOff(backoff.WithInitialInterval(10*time.Millisecond),
		backoff.WithMaxInterval(time.Second), backoff.WithMaxElapsedTime(0))
	for {
		next, err := p.catchUp(ctx, t, view)
		if err == nil || !errors.Is(err, errAgain) && final(err) {
			return next, err
		}
		// The head may be older than the diffs and bases that are there by now.
		if err := sleep(ctx, pause.NextBackOff()); err != nil {
			return nil, err
		}
		if v, err := p.read(ctx, p.keys.head()); err == nil {
			view = v
		}
	}
}

// catchUp is one try of update.
func (p *plans) catchUp(ctx context.Context, t *Table, view adapters.View) (*Table, error) {
	kv, there := view.Get(p.keys.head())
	if !there {
		if t.epoch == 0 {
			return t, nil
		}
		return newTable(p.shards), nil // the group was destroyed
	}
	h, err := parseHead(kv.Value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kv.Key, err)
	}
	if p.shards != 0 && h.shards != p.shards {
		return nil, fmt.Errorf("%w: the group has %d, this program says %d", ErrShards, h.shards, p.shards)
	}
	switch {
	case h.epoch == t.epoch && h.shards == len(t.owner):
		return t, nil
	case h.epoch == 0:
		return newTable(h.shards), nil
	case h.epoch == t.epoch+1 && h.last != nil:
		return t.apply(h.last, h.epoch)
	case t.epoch < h.baseEpoch || t.epoch > h.epoch:
		if t, err = p.readBase(ctx, h.base); err != nil {
			return nil, err
		}
	}
	for t.epoch < h.epoch {
		d := h.last
		if t.epoch+1 < h.epoch || d == nil {
			if d, err = p.readDiff(ctx, t.epoch+1, h.shards); err != nil {
				return nil, err
			}
		}
		if t, err = t.apply(d, t.epoch+1); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (p *plans) readBase(ctx context.Context, name string) (*Table, error) {
	dir := p.keys.bases() + name + "/"
	view, err := p.read(ctx, dir)
	if err != nil {
		return nil, err
	}
	var all []byte
	for i := range len(view.KVs) {
		kv, there := view.Get(fmt.Sprintf("%s%d", dir, i))
		if !there {
			return nil, fmt.Errorf("%w: %s", errAgain, dir)
		}
		all = append(all, kv.Value...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: %s", errAgain, dir)
	}
	t, err := parseBase(all)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return t, nil
}

func (p *plans) readDiff(ctx context.Context, epoch uint64, shards int) (*diff, error) {
	view, err := p.read(ctx, p.keys.diff(epoch))
	if err != nil {
		return nil, err
	}
	kv, there := view.Get(p.keys.diff(epoch))
	if !there {
		return nil, fmt.Errorf("%w: %s", errAgain, p.keys.diff(epoch))
	}
	d, err := parseDiff(kv.Value, shards)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kv.Key, err)
	}
	return d, nil
}

// final says whether trying again cannot help.
func final(err error) bool {
	return errors.Is(err, errWire) || errors.Is(err, ErrShards) ||
		errors.Is(err, adapters.ErrInvalid) || errors.Is(err, adapters.ErrDenied)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
