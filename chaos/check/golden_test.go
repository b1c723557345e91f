// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
)

var update = flag.Bool("update", false, "write testdata/convicted.txt anew")

// TestStoredHistories: what has been convicted once is convicted for ever, by the
// same rules and in the same places. The histories are of real runs on real
// servers, cut short, and come from
//
//	go test ./chaos -run TestConvicts -keep $PWD/chaos/check/testdata
func TestStoredHistories(t *testing.T) {
	const golden = "testdata/convicted.txt"
	histories, err := filepath.Glob("testdata/*/" + history.Nemesis + ".jsonl")
	require.NoError(t, err)
	require.Len(t, histories, 6)
	var text strings.Builder
	for _, file := range histories {
		dir := filepath.Dir(file)
		h, err := history.Load(dir)
		require.NoError(t, err)
		counts := map[string]int{}
		for _, v := range check.All(h, check.Bounds{Got: 1}) {
			counts[v.Rule+": "+v.Name]++
		}
		fmt.Fprintln(&text, filepath.Base(dir))
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			fmt.Fprintf(&text, "\t%s: %d\n", what, counts[what])
		}
	}
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), text.String())
}
