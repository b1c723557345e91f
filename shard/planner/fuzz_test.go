// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"errors"
	"math"
	"regexp"
	"slices"
	"testing"

	"github.com/quorate/quorate/shard/planner"
)

// fuzzed throws what a fuzzer wrote, and 0 when that is used up.
type fuzzed struct{ left []byte }

func (f *fuzzed) IntN(n int) int {
	v := 0
	for size := 1; size < n && len(f.left) > 0; size <<= 8 {
		v = v<<8 | int(f.left[0])
		f.left = f.left[1:]
	}
	return v % n
}

// odd throws a number that is at some edge now and then.
func (f *fuzzed) odd(usual int) int {
	edges := []int{-1, 1, -planner.MaxShards, planner.MaxShards, planner.MaxShards + 1, math.MinInt, math.MaxInt, 100, 101, 1000, 1001}
	if f.IntN(8) == 7 {
		return edges[f.IntN(len(edges))]
	}
	return f.IntN(usual)
}

// input makes an Input of bytes, most of them valid or nearly so.
func (f *fuzzed) input() planner.Input {
	w := newWorld(f, 80, 10)
	for range f.IntN(8) {
		w.change()
	}
	in := w.in
	in.Members = slices.Clone(in.Members)
	in.Prev.Members = []string{"gone"}
	for _, m := range in.Members {
		in.Prev.Members = append(in.Prev.Members, m.ID)
	}
	for range in.Shards {
		in.Prev.Owner = append(in.Prev.Owner, int32(f.IntN(len(in.Prev.Members)+1)-1))
	}
	for range f.IntN(5) {
		i := w.some()
		switch kind := f.IntN(20); {
		case kind == 0:
			in.Shards = f.odd(80)
		case kind == 1:
			in.Prev.Owner = nil
		case kind == 2:
			in.Prev.Owner[f.IntN(len(in.Prev.Owner)+1)%max(1, len(in.Prev.Owner))] = int32(f.odd(20))
		case kind == 3:
			in.Prev.Members = append(in.Prev.Members, []string{"", "a1", "gone", "new"}[f.IntN(4)])
		case kind == 4:
			in.Pins = map[int]string{f.odd(in.Shards + 1): "a1", 0: ""}
		case kind == 5:
			in.Load = make([]uint32, f.IntN(100))
		case kind == 6 && len(in.Load) > 0:
			in.Load[f.IntN(len(in.Load))] = math.MaxUint32
		case kind == 7:
			in.MaxMoves = f.odd(50)
		case kind == 8:
			in.LoadMoves = f.odd(50)
		case kind == 9:
			in.Overfill = f.odd(1000)
		case kind == 10:
			in.LoadSlack = f.odd(100)
		case kind == 11:
			in.LoadStart, in.LoadStop = f.odd(1000), f.odd(1000)
		case kind == 12:
			in.Seed = math.MaxUint64 - uint64(f.IntN(3))
		case i < 0 || i >= len(in.Members):
		case kind < 15:
			in.Members[i].Weight = f.odd(planner.MaxWeight + 1)
		case kind < 17:
			in.Members[i].Capacity = f.odd(in.Shards + 2)
		case kind < 18:
			in.Members[i].ID = []string{"", "a1", in.Members[0].ID}[f.IntN(3)]
		default:
			in.Members[i].Draining = true
		}
		if len(in.Prev.Owner) == 0 {
			in.Prev.Owner = make([]int32, max(0, min(in.Shards, 100)))
		}
	}
	return in
}

var field = regexp.MustCompile(`^shard planner: invalid input: (Shards|Members|Prev|Pins|MaxMoves|Overfill|Load|LoadMoves|LoadSlack|LoadStart|LoadStop)\b`)

// FuzzMake holds that any Input gets a plan as documented, or an error that names
// the field.
func FuzzMake(f *testing.F) {
	for n := range 8 {
		seed := make([]byte, 40*(n+1))
		for i := range seed {
			seed[i] = byte(i*i*(n+3) + n)
		}
		f.Add(seed)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := (&fuzzed{data}).input()
		p, err := planner.Make(in)
		if err != nil {
			if !errors.Is(err, planner.ErrInvalid) || !field.MatchString(err.Error()) {
				t.Fatal(err)
			}
			return
		}
		if in.Shards > 1000 {
			return // the checks are made for small ones
		}
		if err := verify(in, p); err != nil {
			t.Fatalf("%v: %s", err, show(in))
		}
		if err := rests(in, p); err != nil {
			t.Fatalf("%v: %s", err, show(in))
		}
		for s := -1; s <= in.Shards; s++ {
			if p.Explain(s) == "" {
				t.Fatalf("shard %d is not explained", s)
			}
		}
	})
}
