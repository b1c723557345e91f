// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"bytes"
	"strings"

	"github.com/quorate/quorate/adapters"
)

// hostile are names that backends, shells, URLs and paths are known to treat
// specially. Escape has to make a key of each that none of them can touch.
var hostile = []string{
	".", "..", "...", "a", "a.", ".a", "A", "a/b", "a//b", "/", "//", "/a", "a/", "../a", "a/..", "./a",
	" lead", "trail ", " ", "é", "e\u0301", "日本", "%", "%%", "%2F", "%2f", "a%2Fb", "a%252Fb", "+", "a+b", "a b",
	"?x=1", "#", "a#b", "&", ";", ":", "a:b", "*", "a*", "[a]", "{a}", "~", "$HOME", "`a`", "'", `"`, "\\", `a\b`,
	"\x00", "a\x00", "a\x00b", "\n", "a\nb", "\r\n", "\t", "\x7f", "\xff", "\xc3\x28", "\xed\xa0\x80", "\ufeffa", "\u202ea",
	"-", "--", "_", "0", "00", "nil", "null", "recurse", strings.Repeat("n", adapters.MaxName), strings.Repeat("/", adapters.MaxName),
}

var refused = []string{"", strings.Repeat("n", adapters.MaxName+1)}

var nameRules = []rule{
	{
		name: "names/hostile",
		why:  "every name that Escape accepts works as a key on its own: no two meet, and none shows up beneath another",
		test: func(t *trial) {
			for _, name := range refused {
				_, err := adapters.Escape(name)
				t.wantErr(err, adapters.ErrInvalid, "Escape of %d bytes", len(name))
			}
			type entry struct{ name, key, child string }
			var entries []entry
			for _, name := range hostile {
				seg, err := adapters.Escape(name)
				t.must(err, "Escape(%q)", name)
				e := entry{name: name, key: t.key("n/%s", seg), child: t.key("n/%s/child", seg)}
				if most := t.store.Limits().MaxKey; most > 0 && len(e.child) > most {
					_, err := t.store.Read(t.ctx, e.child)
					t.wantErr(err, adapters.ErrInvalid, "Read of a key of %d bytes, MaxKey is %d", len(e.child), most)
					continue
				}
				entries = append(entries, e)
				t.commit(adapters.Tx{
					If:   []adapters.Cond{adapters.Absent(e.key), adapters.Absent(e.child)},
					Then: []adapters.Op{adapters.Put(e.key, []byte("of "+name)), adapters.Put(e.child, []byte("child of "+name))},
				})
			}
			if v := t.read(t.key("n/")); len(v.KVs) != 2*len(entries) {
				t.failf("%d names made %d keys, want %d", len(entries), len(v.KVs), 2*len(entries))
			}
			for _, e := range entries {
				exact, subtree := t.watch(e.key), t.watch(e.key+"/")
				t.value(e.key, "of "+e.name)
				t.scope(e.key+"/", e.child)
				exact.untilValue(e.key, "of "+e.name)
				subtree.untilValue(e.child, "child of "+e.name)
				t.delete(e.key, e.child)
				exact.untilValue(e.key, "")
				subtree.untilValue(e.child, "")
				exact.cancel(nil)
				subtree.cancel(nil)
			}
			if v := t.read(t.key("n/")); len(v.KVs) != 0 {
				t.failf("after all names were deleted there is still %s", list(v))
			}
		},
	},
	{
		name: "limits/reached",
		why:  "what Limits allow works, to the last byte: a limit that is too high fails when a program has grown, and then always",
		test: func(t *trial) {
			l := t.store.Limits()
			key, value := t.key("v"), bytes.Repeat([]byte{0xff}, largest(l, len(t.key("v"))))
			t.commit(adapters.Tx{If: []adapters.Cond{adapters.Absent(key)}, Then: []adapters.Op{adapters.Put(key, value)}})
			if got := t.get(key).Value; !bytes.Equal(got, value) {
				t.failf("a value of %d bytes came back with %d, or changed", len(value), len(got))
			}
			t.delete(key)

			if l.MaxKey > 0 {
				long := t.root + strings.Repeat("k", l.MaxKey-len(t.root))
				t.create(long, "x")
				w := t.watch(long)
				w.untilValue(long, "x")
			}
			if l.MaxTx > 0 {
				var tx adapters.Tx
				for left, i := l.MaxTx, 0; left > 0 && len(tx.If)+len(tx.Then)+2 <= max(l.MaxOps, 16); i++ {
					key := t.key("tx/%03d", i)
					n := min(left-2*len(key), largest(l, len(key)))
					if n < 0 {
						break
					}
					tx.If = append(tx.If, adapters.Absent(key))
					tx.Then = append(tx.Then, adapters.Put(key, value[:n]))
					left -= 2*len(key) + n
				}
				t.commit(tx)
			}
			if l.MaxOps > 0 {
				t.commit(manyOps(t, l.MaxOps))
			}
		},
	},
}

// largest is the longest value that one put with one condition may carry.
func largest(l adapters.Limits, key int) int {
	n := 64 << 10
	if l.MaxValue > 0 {
		n = l.MaxValue
	}
	if l.MaxTx > 0 {
		n = min(n, l.MaxTx-2*key)
	}
	return n
}

// manyOps is a Tx with n conditions, writes and reads.
func manyOps(t *trial, n int) adapters.Tx {
	var tx adapters.Tx
	for i := range n {
		key := t.key("ops/%04d", i)
		switch {
		case i%2 == 0:
			tx.If = append(tx.If, adapters.Absent(key))
		case len(tx.Then) < 16:
			key = tx.If[len(tx.If)-1].Key
			tx.Then = append(tx.Then, adapters.Put(key, nil))
		default:
			tx.Reads = append(tx.Reads, key)
		}
	}
	return tx
}
