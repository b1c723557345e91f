// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/memory"
	"github.com/quorate/quorate/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, mem *memory.Store) *session.Session {
	t.Helper()
	s, err := session.Open(t.Context(), mem, &session.Options{Clock: session.MonotonicClock()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// What is stored is read by other versions: change a file only along with the
// version in it.
func TestStoredForm(t *testing.T) {
	const id = "00c0ffee00c0ffee"
	plain, verbatim := &Line{}, &Line{verbatim: true}
	for file, value := range map[string]string{
		"slot.v1.json":       "web-3:8080",
		"slot-empty.v1.json": "",
		"slot-bytes.v1.json": "\xff\x00\xfe",
	} {
		want, err := os.ReadFile(filepath.Join("testdata", file))
		require.NoError(t, err)
		got := plain.encode(id, value)
		require.Equal(t, string(want), string(got)+"\n")
		require.Equal(t, Record{Session: id, Value: value}, plain.Decode(adapters.KV{Value: got}))
		require.Equal(t, value, string(verbatim.encode(id, value)), "other users of the key read it as it stands")
		require.Equal(t, Record{Value: value}, verbatim.Decode(adapters.KV{Value: []byte(value)}))
	}
	newer := `{"v":2,"session":"a1","value":"x","zone":"b","value2":[1]}`
	require.Equal(t, Record{Session: "a1", Value: "x"}, plain.Decode(adapters.KV{Value: []byte(newer)}))
	for _, foreign := range []string{"", "null", "{}", `{"v":0,"session":"a1"}`, "hello", `{"v":"1"}`, "\xff"} {
		require.Equal(t, Record{}, plain.Decode(adapters.KV{Value: []byte(foreign)}), foreign)
	}
}

// Contenders of other versions, whatever their values, stand in the queue like
// any other; keys further down do not.
func TestOldAndNewVersionsInOneQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(nil)
		s := open(t, mem)
		l, err := New(s, "mutex", "x", false)
		require.NoError(t, err)
		lease, err := mem.Grant(t.Context(), time.Hour)
		require.NoError(t, err)
		plant := func(suffix, value string) {
			key := l.Dir() + suffix
			_, err := mem.Commit(t.Context(), adapters.Tx{
				If:   []adapters.Cond{adapters.Absent(key)},
				Then: []adapters.Op{adapters.PutLeased(key, []byte(value), lease.ID)},
			})
			require.NoError(t, err)
		}
		remove := func(suffix string) {
			_, err := mem.Commit(t.Context(), adapters.Tx{Then: []adapters.Op{adapters.Delete(l.Dir() + suffix)}})
			require.NoError(t, err)
		}
		plant("zz-1", `{"v":2,"session":"newer","value":"n","zone":"b"}`)
		plant("zz-2", "")
		plant("deep/er", "not a contender")
		got := make(chan *Slot, 1)
		go func() {
			slot, err := l.Join(context.Background(), "ours")
			if err != nil {
				t.Error(err)
			}
			got <- slot
		}()
		synctest.Wait()
		plant("aa-3", `{"v":0}`) // sorts first, came last
		view, err := mem.Read(t.Context(), l.Dir())
		require.NoError(t, err)
		var values []string
		for _, kv := range l.Contenders(view) {
			values = append(values, l.Decode(kv).Value)
		}
		require.Equal(t, []string{"n", "", "ours", ""}, values)
		remove("zz-2")
		time.Sleep(time.Second)
		require.Empty(t, got)
		remove("zz-1")
		slot := <-got
		require.NoError(t, slot.Check())
		require.NoError(t, slot.Leave())
		require.NoError(t, mem.Revoke(t.Context(), lease.ID))
	})
}

func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, memory.New(nil))
		for name, dir := range map[string]string{
			"jobs/7": "quorate/mutex/jobs%2F7/",
			"..":     "quorate/mutex/%2E./",
			"a b":    "quorate/mutex/a%20b/",
		} {
			l, err := New(s, "mutex", name, false)
			require.NoError(t, err)
			require.Equal(t, dir, l.Dir())
		}
		l, err := New(s, "mutex", "/locks/a", true)
		require.NoError(t, err)
		require.Equal(t, "/locks/a/", l.Dir())
		for _, bad := range []string{"", "/", "locks/a/"} {
			_, err = New(s, "mutex", bad, true)
			require.ErrorIs(t, err, adapters.ErrInvalid)
		}
	})
}
