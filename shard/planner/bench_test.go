// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/shard/planner"
)

func members(n int) []planner.Member {
	ms := make([]planner.Member, n)
	for i := range ms {
		ms[i].ID = fmt.Sprintf("m%04d", i)
	}
	return ms
}

func BenchmarkMake(b *testing.B) {
	for _, size := range []struct{ shards, members int }{{4096, 100}, {65536, 1000}} {
		ms := members(size.members + 1)
		for i := range ms {
			ms[i].Weight = 50 + i*37%151
		}
		b.Run(fmt.Sprintf("first/%dx%d", size.shards, size.members), func(b *testing.B) {
			for b.Loop() {
				_, err := planner.Make(planner.Input{Shards: size.shards, Members: ms[1:]})
				require.NoError(b, err)
			}
		})
		p, err := planner.Make(planner.Input{Shards: size.shards, Members: ms[1:]})
		require.NoError(b, err)
		b.Run(fmt.Sprintf("join/%dx%d", size.shards, size.members), func(b *testing.B) {
			for b.Loop() {
				_, err := planner.Make(planner.Input{Shards: size.shards, Members: ms, Prev: p.Table})
				require.NoError(b, err)
			}
		})
		b.Run(fmt.Sprintf("leave/%dx%d", size.shards, size.members), func(b *testing.B) {
			for b.Loop() {
				_, err := planner.Make(planner.Input{Shards: size.shards, Members: ms[2:], Prev: p.Table})
				require.NoError(b, err)
			}
		})
	}
}
