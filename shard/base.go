// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"math/bits"

	"github.com/quorate/quorate/shard/planner"
)

// A base is a whole table in few bytes: the members by number, and then the
// number of each shard's owner in as many bits as the largest needs. 65,536
// shards of 1,000 members are 82 KB and the names.

func (t *Table) marshalBase() []byte {
	w := newWriter()
	w.num(uint64(len(t.owner)))
	w.num(t.epoch)
	w.text(t.cause)
	w.num(uint64(len(t.members)))
	for _, e := range t.members {
		w.flag(e.gone)
		w.flag(e.draining)
		w.text(e.ID)
		w.text(e.Address)
	}
	width := bits.Len(uint(len(t.members)))
	var acc uint64
	n := 0
	for _, o := range t.owner {
		acc |= uint64(o) << n
		for n += width; n >= 8; n -= 8 {
			w.b = append(w.b, byte(acc))
			acc >>= 8
		}
	}
	if n > 0 {
		w.b = append(w.b, byte(acc))
	}
	return w.b
}

func parseBase(b []byte) (*Table, error) {
	r := newReader(b)
	t := newTable(r.below(planner.MaxShards + 1))
	t.epoch = r.num()
	t.cause = r.text()
	for range r.count() {
		t.members = append(t.members, entry{
			gone: r.below(2) == 1, draining: r.below(2) == 1, since: t.epoch,
			Owner: Owner{ID: r.text(), Address: r.text()},
		})
	}
	width := bits.Len(uint(len(t.members)))
	if want := (len(t.owner)*width + 7) / 8; r.err == nil && len(r.b) != want {
		r.fail("has another length than its shards need")
	}
	if r.err != nil {
		return nil, r.err
	}
	var acc uint64
	n, at := 0, 0
	for s := range t.owner {
		for n < width {
			acc |= uint64(r.b[at]) << n
			at++
			n += 8
		}
		o := acc & (1<<width - 1)
		acc >>= width
		n -= width
		if o > uint64(len(t.members)) {
			r.fail("names an owner that is not there")
			return nil, r.err
		}
		t.owner[s] = uint16(o)
	}
	return t, nil
}
