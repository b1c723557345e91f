// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/shard/ring"
)

// These answers must never change: processes of different versions route the
// same keys side by side, and shards are laid out by Index.
func TestGolden(t *testing.T) {
	weighted := names(0, 50)
	for i := range weighted {
		weighted[i].Weight = 1 + i*i*i
		weighted[i].Zone = string(rune('a' + i%5))
	}
	for _, c := range []struct {
		name    string
		members []ring.Member
		options *ring.Options
		want    uint64
	}{
		{"three", names(0, 3), nil, 0x9bdea9ac481be3fa},
		{"fifty", weighted, nil, 0xb992d0060f745766},
		{"slots", weighted, &ring.Options{Slots: 1 << 10}, 0x65b4cf99d0443680},
		{"seed", weighted, &ring.Options{Slots: 1 << 10, Seed: 42}, 0x6e8a477f6758a833},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRing(t, c.members, c.options)
			var all strings.Builder
			for _, key := range some {
				fmt.Fprintln(&all, key, r.Get(key), r.GetN(key, 4), r.GetApart(key, 3))
			}
			require.Equal(t, fmt.Sprintf("%#x", c.want), fmt.Sprintf("%#x", xxhash.Sum64String(all.String())))
		})
	}
}

func TestWithoutMembers(t *testing.T) {
	r := newRing(t, nil, nil)
	require.Empty(t, r.Get("k"))
	require.Empty(t, r.GetBytes([]byte("k")))
	require.Nil(t, r.GetN("k", 1))
	require.Nil(t, r.GetApart("k", 1))
	require.Empty(t, r.Members())
	r, err := r.With(names(0, 1))
	require.NoError(t, err)
	require.Equal(t, "member-0000", r.Get("k"))
	r, err = r.With(nil)
	require.NoError(t, err)
	require.Empty(t, r.Get("k"))
}

func TestArgumentsAreTheCallers(t *testing.T) {
	ms := names(0, 3)
	r := newRing(t, ms, nil)
	want := r.Get("k")
	ms[0], ms[1], ms[2] = ms[2], ms[0], ring.Member{}
	r.Members()[0].ID = "x"
	require.Equal(t, want, r.Get("k"))
	require.Equal(t, names(0, 3), r.Members())
}

func TestInvalid(t *testing.T) {
	for _, c := range []struct {
		members []ring.Member
		slots   int
		want    string
	}{
		{nil, 1000, "Slots is 1000, must be a power of two from 16 to 16777216"},
		{nil, -8, "Slots is -8, must be a power of two from 16 to 16777216"},
		{nil, 8, "Slots is 8, must be"},
		{nil, 1 << 25, "Slots is 33554432, must be"},
		{[]ring.Member{{}}, 0, "members: an ID is empty"},
		{[]ring.Member{{ID: "a"}, {ID: "b"}, {ID: "a"}}, 0, `members: ID "a" is there twice`},
		{[]ring.Member{{ID: "a", Weight: -1}}, 0, `members: "a": Weight is -1, must be from 0 to 1048576`},
		{[]ring.Member{{ID: "a", Weight: ring.MaxWeight + 1}}, 0, `members: "a": Weight is 1048577, must be from 0 to 1048576`},
		{names(0, ring.MaxMembers+1), 0, "members are 65537, limit 65536"},
	} {
		_, err := ring.New(c.members, &ring.Options{Slots: c.slots})
		require.ErrorIs(t, err, ring.ErrInvalid)
		require.ErrorContains(t, err, "ring: new: invalid argument: "+c.want)
		if c.slots == 0 {
			_, err = newRing(t, names(0, 2), nil).With(c.members)
			require.ErrorIs(t, err, ring.ErrInvalid)
			require.ErrorContains(t, err, "ring: with: invalid argument: "+c.want)
		}
	}
}

func TestMostMembers(t *testing.T) {
	r := newRing(t, names(0, ring.MaxMembers), &ring.Options{Slots: ring.MinSlots})
	for _, key := range some[:20] {
		require.Equal(t, r.Get(key), r.GetN(key, 1)[0])
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	r := newRing(t, names(0, 100), nil)
	key := []byte("user/7")
	require.Zero(t, testing.AllocsPerRun(1000, func() { r.Get("user/7") }))
	require.Zero(t, testing.AllocsPerRun(1000, func() { r.GetBytes(key) }))
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = ring.Index("user/7", 7) + ring.IndexBytes(key, 7) }))
	require.Equal(t, 1., testing.AllocsPerRun(1000, func() { r.GetN("user/7", 3) }))
}

func TestManyGoroutines(t *testing.T) {
	r := newRing(t, names(0, 20), nil)
	want := r.GetN("k", 20)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				if r.Get("k") != want[0] || r.GetN("k", i+1)[i] != want[i] {
					t.Error("another answer")
				}
			}
		})
	}
	wg.Wait()
}

func FuzzGet(f *testing.F) {
	f.Add("a,b,c", "key", uint64(0))
	f.Add("\x00,\xff\xfe, ,ä", "", uint64(1<<63))
	f.Add(strings.Repeat("x", 1000)+",y,y,,", strings.Repeat("k", 5000), ^uint64(0))
	f.Fuzz(func(t *testing.T, ids, key string, seed uint64) {
		var ms []ring.Member
		seen := map[string]bool{"": true}
		valid := true
		for i, id := range strings.Split(ids, ",") {
			ms = append(ms, ring.Member{ID: id, Weight: i * i, Zone: id[:min(1, len(id))]})
			valid = valid && !seen[id] && i <= 1<<10
			seen[id] = true
		}
		r, err := ring.New(ms, &ring.Options{Slots: 64, Seed: seed})
		if !valid {
			require.ErrorIs(t, err, ring.ErrInvalid)
			return
		}
		require.NoError(t, err)
		first := r.Get(key)
		require.True(t, seen[first] && first != "")
		require.Equal(t, first, r.GetBytes([]byte(key)))
		all := r.GetN(key, len(ms))
		require.Len(t, all, len(ms))
		require.Equal(t, first, all[0])
		require.Equal(t, first, r.GetApart(key, 2)[0])
		less, err := r.With(without(ms, first))
		require.NoError(t, err)
		require.Equal(t, append(all[1:], "")[0], less.Get(key))
		i := ring.Index(key, len(ms))
		require.True(t, 0 <= i && i < len(ms))
	})
}
