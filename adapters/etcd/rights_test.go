// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"fmt"
	"testing"

	"github.com/quorate/quorate/adapters"
	"github.com/stretchr/testify/require"
)

// TestNeeds: what the text asks for is what etcd checks, no less and no more.
func TestNeeds(t *testing.T) {
	const role = "etcdctl role grant-permission ROLE "
	for _, c := range []struct {
		tx   adapters.Tx
		want string
	}{
		{adapters.Tx{If: []adapters.Cond{adapters.Absent("k")}}, `read on "k" (` + role + `read k)`},
		{adapters.Tx{Then: []adapters.Op{adapters.Delete("k")}}, `write on "k" (` + role + `write k)`},
		{adapters.Tx{Reads: []string{"k", "k/"}}, `read on "k", read on "k/" (` + role + `read k; ` + role + `read --prefix k/)`},
		{
			// What a session writes first.
			adapters.Tx{
				If: []adapters.Cond{adapters.Absent("q/session/1"), adapters.Absent("q/inbox/1")},
				Then: []adapters.Op{
					adapters.PutLeased("q/session/1", nil, "1f"), adapters.PutLeased("q/inbox/1", nil, "1f"),
				},
			},
			`readwrite on "q/session/1", readwrite on "q/inbox/1", write on all other keys that hang on lease 1f (` +
				role + `readwrite --prefix q/)`,
		},
		{
			// What a lock writes that is used verbatim.
			adapters.Tx{
				If:    []adapters.Cond{adapters.Unchanged("q/session/1", 7), adapters.Absent("jobs/1-1")},
				Then:  []adapters.Op{adapters.PutLeased("jobs/1-1", nil, "1f")},
				Reads: []string{"jobs/"},
			},
			`read on "q/session/1", readwrite on "jobs/1-1", read on "jobs/", write on all other keys that hang on lease 1f (` +
				role + `read q/session/1; ` + role + `readwrite --prefix jobs/)`,
		},
		{
			adapters.Tx{Then: []adapters.Op{
				adapters.Delete("/a"), adapters.Delete("/b"), adapters.Delete("c"), adapters.Delete("d"), adapters.Delete("e"),
			}},
			`write on "/a", write on "/b", write on "c", write on "d", 1 more (` +
				role + `write /a; ` + role + `write /b; ` + role + `write c; and so on)`,
		},
	} {
		require.Equal(t, c.want, toCommit(c.tx).text(""))
	}
	require.Equal(t, `write on all keys that hang on lease 1f`, needs{lease: 0x1f}.text(""))
	require.Equal(t, `write on all keys that hang on lease 1f (`+role+`write --prefix q/)`, needs{lease: 0x1f}.text("q/"))
	require.Equal(t, role+`read 'it'\''s $HOME'`, right{name: "it's $HOME", read: true}.grant())
}

func TestHanging(t *testing.T) {
	var h hanging
	put := func(id adapters.LeaseID, keys ...string) {
		var tx adapters.Tx
		for _, k := range keys {
			tx.Then = append(tx.Then, adapters.PutLeased(k, nil, id), adapters.Put("x/"+k, nil))
		}
		h.add(tx)
	}
	put("1f", "q/session/1", "q/inbox/1")
	require.Equal(t, "q/", h.beneath(0x1f))
	put("1f", "q/mutex/l/1-1")
	require.Equal(t, "q/", h.beneath(0x1f))
	put("20", "q/session/2")
	require.Equal(t, "q/session/", h.beneath(0x20))
	put("1f", "jobs/1-2")
	require.Empty(t, h.beneath(0x1f))
	put("1f", "q/session/1")
	require.Empty(t, h.beneath(0x1f))
	h.forget(0x20)
	require.Empty(t, h.beneath(0x20))
	for i := range 10 * leases {
		put(adapters.LeaseID(fmt.Sprintf("%x", i+1)), "q/k")
	}
	require.LessOrEqual(t, len(h.dirs), leases)
}
