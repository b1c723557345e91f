// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adapters

import (
	"fmt"
	"strings"
)

// A Tx is one atomic step: if all conditions hold, then all writes, with reads
// that show the state after them. It writes each key at most once.
type Tx struct {
	If   []Cond
	Then []Op
	// Reads are names, read in the same step. They are answered only when the
	// Tx committed.
	Reads []string
}

// Result is the answer to a Tx that committed.
type Result struct {
	Rev   Rev    // Mod of every key that it put; may be 0 if it wrote nothing
	Views []View // one for each of Tx.Reads
}

// CondKind says what a condition compares.
type CondKind uint8

// The kinds of condition, each made by the function of its name.
const (
	CondAbsent CondKind = iota + 1
	CondUnchanged
	CondHeldBy
)

// Cond is a condition on one key. Make it with [Absent], [Unchanged] or [HeldBy].
type Cond struct {
	Key   string
	Kind  CondKind
	Mod   Rev     // of CondUnchanged
	Lease LeaseID // of CondHeldBy
}

// Absent holds while key does not exist.
func Absent(key string) Cond { return Cond{Key: key, Kind: CondAbsent} }

// Unchanged holds while key exists and its last write was mod.
func Unchanged(key string, mod Rev) Cond { return Cond{Key: key, Kind: CondUnchanged, Mod: mod} }

// HeldBy holds while key exists and hangs on lease.
func HeldBy(key string, lease LeaseID) Cond {
	return Cond{Key: key, Kind: CondHeldBy, Lease: lease}
}

// OpKind says what a write does to the key and to the lease that it hangs on.
type OpKind uint8

// The kinds of write, each made by the function of its name.
const (
	OpPut OpKind = iota + 1
	OpPutLeased
	OpPutKeep
	OpDelete
)

// Op is a write to one key. Make it with [Put], [PutLeased], [PutKeep] or [Delete].
type Op struct {
	Key   string
	Kind  OpKind
	Value []byte
	Lease LeaseID // of OpPutLeased
	Tag   uint64  // 0, or the backend's Limits.LockTag
}

// Put writes a key that then hangs on no lease. The Tx must have a condition
// on the key: Absent to create it, HeldBy to take it off its lease.
func Put(key string, value []byte) Op { return Op{Key: key, Kind: OpPut, Value: value} }

// PutLeased writes a key that then hangs on lease. The Tx must have a
// condition on the key: Absent to create it, HeldBy to move it there from the
// lease that it hangs on.
func PutLeased(key string, value []byte, lease LeaseID) Op {
	return Op{Key: key, Kind: OpPutLeased, Value: value, Lease: lease}
}

// PutKeep writes a key and leaves it on the lease that it hangs on, if any.
// The Tx must have a condition on the key: Unchanged or HeldBy.
func PutKeep(key string, value []byte) Op { return Op{Key: key, Kind: OpPutKeep, Value: value} }

// Delete deletes a key. A key that does not exist is no error. It needs no
// condition, but whoever deletes what others may have written wants one.
func Delete(key string) Op { return Op{Key: key, Kind: OpDelete} }

// Validate reports, as ErrInvalid, what is wrong with tx on a backend with
// these limits. Adapters call it before anything else.
func (tx Tx) Validate(l Limits) error {
	if n := len(tx.If) + len(tx.Then) + len(tx.Reads); n == 0 {
		return fmt.Errorf("%w: empty transaction", ErrInvalid)
	} else if l.MaxOps > 0 && n > l.MaxOps {
		return fmt.Errorf("%w: transaction has %d conditions, writes and reads, limit %d", ErrInvalid, n, l.MaxOps)
	}
	conds := make(map[string]uint8, len(tx.If))
	size := 0
	for _, c := range tx.If {
		if err := checkKey(c.Key, l); err != nil {
			return err
		}
		if c.Kind < CondAbsent || c.Kind > CondHeldBy || (c.Kind == CondHeldBy && c.Lease == "") {
			return fmt.Errorf("%w: condition on %q is incomplete: %+v", ErrInvalid, c.Key, c)
		}
		conds[c.Key] |= 1 << c.Kind
		size += len(c.Key)
	}
	const absent, unchanged, held = 1 << CondAbsent, 1 << CondUnchanged, 1 << CondHeldBy
	written := make(map[string]bool, len(tx.Then))
	for _, op := range tx.Then {
		if err := checkKey(op.Key, l); err != nil {
			return err
		}
		if written[op.Key] {
			return fmt.Errorf("%w: transaction writes %q twice", ErrInvalid, op.Key)
		}
		written[op.Key] = true
		if l.MaxValue > 0 && len(op.Value) > l.MaxValue {
			return fmt.Errorf("%w: value of %q has %d bytes, limit %d", ErrInvalid, op.Key, len(op.Value), l.MaxValue)
		}
		size += len(op.Key) + len(op.Value)
		need := uint8(0)
		switch op.Kind {
		case OpPut, OpPutLeased:
			need = absent | held
		case OpPutKeep:
			need = unchanged | held
		case OpDelete:
		default:
			return fmt.Errorf("%w: write to %q has no kind", ErrInvalid, op.Key)
		}
		if need != 0 && conds[op.Key]&need == 0 {
			return fmt.Errorf("%w: write to %q lacks its condition", ErrInvalid, op.Key)
		}
		if op.Tag != 0 && op.Tag != l.LockTag {
			return fmt.Errorf("%w: write to %q has tag %#x, the backend's is %#x", ErrInvalid, op.Key, op.Tag, l.LockTag)
		}
		if op.Kind == OpPutLeased && op.Lease == "" {
			return fmt.Errorf("%w: write to %q names no lease", ErrInvalid, op.Key)
		}
	}
	for _, name := range tx.Reads {
		if err := checkKey(strings.TrimSuffix(name, "/"), l); err != nil {
			return err
		}
		size += len(name)
	}
	if l.MaxTx > 0 && size > l.MaxTx {
		return fmt.Errorf("%w: transaction has %d bytes, limit %d", ErrInvalid, size, l.MaxTx)
	}
	return nil
}

// CheckName reports, as ErrInvalid, a name that Read and Watch must refuse.
func CheckName(name string, l Limits) error { return checkKey(strings.TrimSuffix(name, "/"), l) }

func checkKey(key string, l Limits) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: empty key", ErrInvalid)
	case strings.HasSuffix(key, "/"):
		return fmt.Errorf("%w: key %q ends in a slash", ErrInvalid, key)
	case l.MaxKey > 0 && len(key) > l.MaxKey:
		return fmt.Errorf("%w: key has %d bytes, limit %d", ErrInvalid, len(key), l.MaxKey)
	}
	return nil
}
