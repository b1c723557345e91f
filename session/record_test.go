// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// golden compares got with the file of that name. What is stored is read by
// other versions of this package: change a file only along with its version.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.Equal(t, string(want), string(got)+"\n")
}

func TestStoredFormOfTheSessionKey(t *testing.T) {
	info := Info{
		Version: 1, Owner: "billing", Host: "web-3", PID: 4711, TTL: 10 * time.Second,
		Since: time.Date(2026, 11, 22, 12, 30, 0, 5e6, time.UTC),
	}
	golden(t, "session.v1.json", info.marshal())
	back, err := ParseInfo(info.marshal())
	require.NoError(t, err)
	require.Equal(t, info, back)

	newer, err := ParseInfo([]byte(`{"v":2,"owner":"billing","ttl_ms":10000,"zone":"b"}`))
	require.NoError(t, err)
	require.Equal(t, Info{Version: 2, Owner: "billing", TTL: 10 * time.Second}, newer)
	for _, bad := range []string{"", "null", "{}", "[]", `{"v":0}`, `{"v":"1"}`} {
		_, err := ParseInfo([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestStoredFormOfTheInbox(t *testing.T) {
	golden(t, "inbox-empty.v1.json", inboxJSON{}.marshal())
	box := inboxJSON{Messages: []Message{
		{ID: "a1-1", Kind: "yield", Name: "jobs/7", From: "a1", Body: "please"},
		{ID: "a1-2", Kind: "ping"},
	}}
	golden(t, "inbox.v1.json", box.marshal())
	back, err := parseInbox(box.marshal())
	require.NoError(t, err)
	require.Equal(t, box.Messages, back.Messages)

	newer, err := parseInbox([]byte(`{"v":2,"urgent":true,"messages":[{"id":"b-1","kind":"yield","after":"10s"}]}`))
	require.NoError(t, err)
	require.Equal(t, []Message{{ID: "b-1", Kind: "yield"}}, newer.Messages)
	_, err = parseInbox([]byte("hello"))
	require.Error(t, err)
}
