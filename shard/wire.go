// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The head, diffs and bases are read by every member and router at every
// change, so they are stored in few bytes: a version, and then whole numbers as
// varints (encoding/binary) and texts with their lengths before them.

const wireVersion = 1

// errWire means that what is stored cannot be read.
var errWire = errors.New("stored plan cannot be read")

// writer puts numbers and texts one behind the other.
type writer struct{ b []byte }

func newWriter() *writer { return &writer{[]byte{wireVersion}} }

func (w *writer) num(v uint64) { w.b = binary.AppendUvarint(w.b, v) }

func (w *writer) flag(f bool) {
	if f {
		w.num(1)
	} else {
		w.num(0)
	}
}

func (w *writer) text(s string) {
	w.num(uint64(len(s)))
	w.b = append(w.b, s...)
}

// reader is the inverse. After the first thing that it cannot read, everything
// is zero and err is set.
type reader struct {
	b   []byte
	err error
}

func newReader(b []byte) *reader {
	r := &reader{b: b}
	if len(b) == 0 {
		r.fail("is empty")
	} else if b[0] != wireVersion {
		r.fail(fmt.Sprintf("has version %d, this program knows %d", b[0], wireVersion))
	} else {
		r.b = b[1:]
	}
	return r
}

func (r *reader) fail(why string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: it %s", errWire, why)
	}
	r.b = nil
}

func (r *reader) num() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("ends too soon")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a number that something of at least one byte each follows, so it
// cannot be larger than what is left.
func (r *reader) count() int {
	v := r.num()
	if v > uint64(len(r.b)) {
		r.fail("ends too soon")
		return 0
	}
	return int(v)
}

// below reads a number that must be less than limit.
func (r *reader) below(limit int) int {
	v := r.num()
	if v >= uint64(limit) {
		r.fail(fmt.Sprintf("names %d where %d is the limit", v, limit))
		return 0
	}
	return int(v)
}

func (r *reader) text() string {
	n := r.count()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}
