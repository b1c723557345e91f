// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adapters_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
)

func TestValidate(t *testing.T) {
	var (
		absent    = adapters.Absent("k")
		unchanged = adapters.Unchanged("k", 7)
		held      = adapters.HeldBy("k", "l")
		put       = adapters.Put("k", []byte("1234"))
		leased    = adapters.PutLeased("k", nil, "l")
		keep      = adapters.PutKeep("k", nil)
		del       = adapters.Delete("k")
	)
	type (
		conds = []adapters.Cond
		ops   = []adapters.Op
	)
	for name, tx := range map[string]adapters.Tx{
		"create":                     {If: conds{absent}, Then: ops{put}},
		"create leased":              {If: conds{absent}, Then: ops{leased}},
		"take off":                   {If: conds{held}, Then: ops{put}},
		"move":                       {If: conds{held}, Then: ops{leased}},
		"swap":                       {If: conds{unchanged}, Then: ops{keep}},
		"write as holder":            {If: conds{held}, Then: ops{keep}},
		"several on one key":         {If: conds{unchanged, held}, Then: ops{leased}},
		"delete":                     {Then: ops{del}},
		"delete on condition":        {If: conds{unchanged}, Then: ops{del}},
		"condition only":             {If: conds{absent}},
		"Mod 0":                      {If: conds{adapters.Unchanged("k", 0)}},
		"reads only":                 {Reads: []string{"k", "k", "d/", "d/e"}},
		"leading and double slashes": {Reads: []string{"/a", "a//b"}},
	} {
		require.NoError(t, tx.Validate(adapters.Limits{}), name)
	}
	for name, c := range map[string]struct {
		tx   adapters.Tx
		says string
	}{
		"empty":                    {adapters.Tx{}, "empty transaction"},
		"create without condition": {adapters.Tx{Then: ops{put}}, `write to "k" lacks its condition`},
		"leased without condition": {adapters.Tx{Then: ops{leased}}, "lacks its condition"},
		"keep without condition":   {adapters.Tx{Then: ops{keep}}, "lacks its condition"},
		"put if unchanged":         {adapters.Tx{If: conds{unchanged}, Then: ops{put}}, "lacks its condition"},
		"leased if unchanged":      {adapters.Tx{If: conds{unchanged}, Then: ops{leased}}, "lacks its condition"},
		"keep if absent":           {adapters.Tx{If: conds{absent}, Then: ops{keep}}, "lacks its condition"},
		"condition elsewhere":      {adapters.Tx{If: conds{adapters.Absent("other")}, Then: ops{put}}, "lacks its condition"},
		"written twice":            {adapters.Tx{If: conds{absent}, Then: ops{put, del}}, `writes "k" twice`},
		"write without kind":       {adapters.Tx{If: conds{absent}, Then: ops{{Key: "k"}}}, "has no kind"},
		"write of unknown kind":    {adapters.Tx{If: conds{absent}, Then: ops{{Key: "k", Kind: adapters.OpDelete + 1}}}, "has no kind"},
		"leased by nobody":         {adapters.Tx{If: conds{absent}, Then: ops{adapters.PutLeased("k", nil, "")}}, "names no lease"},
		"held by nobody":           {adapters.Tx{If: conds{adapters.HeldBy("k", "")}}, "incomplete"},
		"condition without kind":   {adapters.Tx{If: conds{{Key: "k"}}}, "incomplete"},
		"condition unknown":        {adapters.Tx{If: conds{{Key: "k", Kind: adapters.CondHeldBy + 1}}}, "incomplete"},
		"condition on no key":      {adapters.Tx{If: conds{adapters.Absent("")}}, "empty key"},
		"condition on a subtree":   {adapters.Tx{If: conds{adapters.Absent("d/")}}, "ends in a slash"},
		"write of no key":          {adapters.Tx{Then: ops{adapters.Delete("")}}, "empty key"},
		"write of a subtree":       {adapters.Tx{Then: ops{adapters.Delete("d/")}}, "ends in a slash"},
		"read of nothing":          {adapters.Tx{Reads: []string{""}}, "empty key"},
		"read of everything":       {adapters.Tx{Reads: []string{"/"}}, "empty key"},
		"read with two slashes":    {adapters.Tx{Reads: []string{"d//"}}, "ends in a slash"},
	} {
		err := c.tx.Validate(adapters.Limits{})
		require.ErrorIs(t, err, adapters.ErrInvalid, name)
		require.ErrorContains(t, err, c.says, name)
	}
}

func TestValidateLimits(t *testing.T) {
	tx := adapters.Tx{ // 4 operations, 2+2+4+2+2 bytes of which 4 in one value
		If:    []adapters.Cond{adapters.Absent("k1"), adapters.Absent("k2")},
		Then:  []adapters.Op{adapters.Put("k1", []byte("1234"))},
		Reads: []string{"k/"},
	}
	exact := adapters.Limits{MaxOps: 4, MaxKey: 2, MaxValue: 4, MaxTx: 12}
	require.NoError(t, tx.Validate(exact))
	for says, less := range map[string]func(*adapters.Limits){
		"4 conditions, writes and reads, limit 3": func(l *adapters.Limits) { l.MaxOps-- },
		"2 bytes, limit 1":                        func(l *adapters.Limits) { l.MaxKey-- },
		`value of "k1" has 4 bytes, limit 3`:      func(l *adapters.Limits) { l.MaxValue-- },
		"12 bytes, limit 11":                      func(l *adapters.Limits) { l.MaxTx-- },
	} {
		l := exact
		less(&l)
		err := tx.Validate(l)
		require.ErrorIs(t, err, adapters.ErrInvalid)
		require.ErrorContains(t, err, says)
	}
	require.NoError(t, adapters.CheckName("ab", exact))
	require.NoError(t, adapters.CheckName("ab/", exact), "MaxKey is of keys, and no key ends in a slash")
	require.ErrorIs(t, adapters.CheckName("abc", exact), adapters.ErrInvalid)
}

func TestLatest(t *testing.T) {
	require.Equal(t, time.Second, adapters.Limits{}.Latest(time.Second), "a factor of 0 counts as 1")
	require.Equal(t, 2500*time.Millisecond, adapters.Limits{ExpiryFactor: 2, ExpiryLag: time.Second / 2}.Latest(time.Second))
}

func TestViewGet(t *testing.T) {
	v := adapters.View{KVs: []adapters.KV{{Key: "a", Mod: 1}, {Key: "a/b", Mod: 2}}}
	kv, ok := v.Get("a/b")
	require.True(t, ok)
	require.EqualValues(t, 2, kv.Mod)
	_, ok = v.Get(strings.ToUpper("a"))
	require.False(t, ok)
}
