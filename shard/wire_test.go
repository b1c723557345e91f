// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/shard/planner"
)

// What is stored must be read by later versions: a change here needs a new version.
func TestGolden(t *testing.T) {
	d := &diff{
		cause: "join b; vanish a", gone: []int{0},
		names: []naming{{number: 1, draining: true, Owner: Owner{"b", "10.0.0.2:80"}}},
		moves: []move{{3, 1}, {4, 1}, {900, 1}, {7, 2}, {8, planner.Nobody}},
	}
	h := &head{shards: 1024, epoch: 300, base: "290-7", baseEpoch: 290, last: d}
	require.Equal(t, "018008ac02a202053239302d37"+"01"+
		"106a6f696e20623b2076616e6973682061"+"0100"+"01010101620b31302e302e302e323a3830"+
		"03"+"000108"+"02030300ff06"+"030107", hex.EncodeToString(h.marshal()))
	again, err := parseHead(h.marshal())
	require.NoError(t, err)
	require.Equal(t, h.epoch, again.epoch)
	require.ElementsMatch(t, d.moves, again.last.moves)
	require.Equal(t, d.names, again.last.names)

	base, err := newTable(8).apply(&diff{
		cause: "join 2", names: []naming{{0, false, Owner{"a", ""}}, {1, true, Owner{"b", ""}}},
		moves: []move{{0, 0}, {1, 1}, {2, 0}, {3, 1}, {5, 0}},
	}, 1)
	require.NoError(t, err)
	require.Equal(t, "010801066a6f696e2032"+"02"+"00000161"+"00"+"00010162"+"00"+"9904", hex.EncodeToString(base.marshalBase()))

	for want, record := range map[string]any{
		`{"v":1,"m":"a","i":17,"e":3}`:                          claimJSON{1, "a", 17, 3},
		`{"v":1,"kind":"yours","from":"a","to":9,"shards":[1]}`: noteJSON{Version: 1, Kind: noteYours, From: "a", Life: 9, Shards: []int{1}},
		`{"v":1,"id":"a","session":"ff","address":"h:1","weight":5,"capacity":6,"zone":"z","release":"v2","draining":true,"prepares":true}`: memberJSON{1, "a", "ff", "h:1", 5, 6, "z", "v2", true, true},
		`{"v":1,"pins":{"4":"a"}}`: pinsJSON{1, map[int]string{4: "a"}},
	} {
		require.Equal(t, want, string(encode(record)))
	}
}

// A table that has gone through its stored forms is the same.
func TestStoredTables(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		shards := rapid.SampledFrom([]int{1, 2, 7, 64, 1000}).Draw(rt, "shards")
		table := newTable(shards)
		for epoch := uint64(1); epoch < 8; epoch++ {
			d := &diff{cause: rapid.String().Draw(rt, "cause")}
			for n := range rapid.IntRange(0, 3).Draw(rt, "names") {
				d.names = append(d.names, naming{len(table.members) + n, rapid.Bool().Draw(rt, "draining"), Owner{fmt.Sprint(epoch, n), rapid.String().Draw(rt, "address")}})
			}
			all := len(table.members) + len(d.names)
			for s := range shards {
				if rapid.IntRange(0, 9).Draw(rt, "move") == 0 {
					d.moves = append(d.moves, move{s, rapid.IntRange(-1, all-1).Draw(rt, "to")})
				}
			}
			for n := range table.members {
				if rapid.IntRange(0, 9).Draw(rt, "gone") == 0 {
					d.gone = append(d.gone, n)
				}
			}
			read, err := parseDiff(d.marshal(), shards)
			require.NoError(rt, err)
			want, err := table.apply(d, epoch)
			require.NoError(rt, err)
			got, err := table.apply(read, epoch)
			require.NoError(rt, err)
			require.Equal(rt, want, got)
			base, err := parseBase(want.marshalBase())
			require.NoError(rt, err)
			require.Equal(rt, want.owner, base.owner)
			require.Equal(rt, want.Members(), base.Members())
			require.Equal(rt, want.epoch, base.epoch)
			table = want
		}
	})
}

// 65,536 shards of 1,000 members are as small as the documentation says.
func TestSizes(t *testing.T) {
	table := newTable(65536)
	d := &diff{cause: "join 1000 members"}
	for n := range 1000 {
		d.names = append(d.names, naming{n, false, Owner{fmt.Sprintf("worker-%d", n), ""}})
	}
	for s := range 65536 {
		d.moves = append(d.moves, move{s, s * 7 % 1000})
	}
	table, err := table.apply(d, 1)
	require.NoError(t, err)
	names := 1000 * (len("worker-999") + 4)
	require.Less(t, len(table.marshalBase()), 82<<10+names)

	join := &diff{cause: "join worker-1000", names: []naming{{1000, false, Owner{"worker-1000", ""}}}}
	for s := 0; s < 65536; s += 65536 / 66 {
		join.moves = append(join.moves, move{s, 1000})
	}
	require.Less(t, len(join.marshal()), 200)
}

// Nothing that is stored makes a reader panic, or want much memory.
func FuzzParse(f *testing.F) {
	h := &head{shards: 16, epoch: 2, base: "1-1", baseEpoch: 1, last: &diff{cause: "x", gone: []int{1}, moves: []move{{1, 0}, {9, 1}}}}
	f.Add(h.marshal())
	f.Add(newTable(9).marshalBase())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseHead(b); err == nil && h.last != nil {
			table := newTable(h.shards)
			table.members = make([]entry, 4)
			_, _ = table.apply(h.last, 1)
		} else if err != nil {
			require.ErrorIs(t, err, errWire)
		}
		if table, err := parseBase(b); err == nil {
			_ = table.String()
		} else {
			require.ErrorIs(t, err, errWire)
		}
	})
}
