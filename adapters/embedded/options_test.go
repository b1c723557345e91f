// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/adapters/embedded"
	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

func TestBadOptions(t *testing.T) {
	two := map[string]string{"a": "http://127.0.0.1:1", "b": "http://127.0.0.1:2"}
	for _, c := range []struct {
		want string
		opts embedded.Options
	}{
		{"embedded: Options.ClientAddr: ", embedded.Options{ClientAddr: "127.0.0.1"}},
		{"embedded: Options.ClientAddr: ", embedded.Options{ClientAddr: "example.org:80"}},
		{"embedded: Options.ClientAddr: ", embedded.Options{ClientAddr: "127.0.0.1:70000"}},
		{"embedded: Options.ClientAddr: ", embedded.Options{ClientAddr: "http://127.0.0.1:80"}},
		{"embedded: Options.PeerAddr: ", embedded.Options{PeerAddr: "127.0.0.1:2380"}},
		{"embedded: Options.PeerAddr: ", embedded.Options{Dir: "x", Name: "a", Cluster: map[string]string{"a": "http://h:1"}}},
		{"embedded: Options.Name: ", embedded.Options{Name: "a=b"}},
		{"embedded: Options.Name: ", embedded.Options{Dir: "x", Cluster: two}},
		{"embedded: Options.Name: ", embedded.Options{Dir: "x", Cluster: two, Name: "c"}},
		{"embedded: Options.Dir: ", embedded.Options{Cluster: two, Name: "a"}},
		{"embedded: Options.Dir: ", embedded.Options{Dir: "/dev/null/x"}},
		{"embedded: Options.Cluster: ", embedded.Options{Dir: "x", Name: "a", Cluster: map[string]string{"a,b": "http://127.0.0.1:1"}}},
		{"embedded: Options.Cluster[\"a\"]: ", embedded.Options{Dir: "x", Name: "a", Cluster: map[string]string{"a": "https://127.0.0.1:1"}}},
		{"embedded: Options.Cluster[\"a\"]: ", embedded.Options{Dir: "x", Name: "a", Cluster: map[string]string{"a": "http://127.0.0.1:0"}}},
		{"embedded: Options.Cluster[\"a\"]: ", embedded.Options{Dir: "x", Name: "a", Cluster: map[string]string{"a": "127.0.0.1:1"}}},
		{"embedded: Options.Heartbeat: ", embedded.Options{Heartbeat: time.Microsecond}},
		{"embedded: Options.Heartbeat: ", embedded.Options{Heartbeat: -time.Millisecond}},
		{"embedded: Options.Election: ", embedded.Options{Election: 10500 * time.Microsecond}},
		{"embedded: Options.Election: ", embedded.Options{Heartbeat: 200 * time.Millisecond}},
		{"embedded: Options.Election: 1m0s: limit 50s", embedded.Options{Election: time.Minute}},
	} {
		_, err := embedded.Start(context.Background(), &c.opts)
		require.ErrorContains(t, err, c.want, "%+v", c.opts)
	}
	require.NoFileExists(t, "x", "a bad setting leaves nothing behind")
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dir := t.TempDir()
	_, err = embedded.Start(within(t, 10*time.Second), &embedded.Options{Dir: dir, ClientAddr: l.Addr().String()})
	require.ErrorContains(t, err, "embedded: start: Options.ClientAddr: listen tcp")
	_, err = embedded.Start(within(t, 10*time.Second), &embedded.Options{
		Dir: dir, Name: "a", Cluster: map[string]string{"a": "http://" + l.Addr().String()},
	})
	require.ErrorContains(t, err, "embedded: start: Options.PeerAddr: listen tcp")
	require.NoDirExists(t, filepath.Join(dir, "member"))
}

// An etcd that is not ours has the directory, and knows nothing of our lock.
func TestDirOfForeignServer(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "member", "snap", "db")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	db, err := bbolt.Open(file, 0o600, nil)
	require.NoError(t, err)
	defer db.Close()
	begin := time.Now()
	_, err = embedded.Start(within(t, 10*time.Second), &embedded.Options{Dir: dir})
	require.ErrorIs(t, err, embedded.ErrInUse)
	require.Less(t, time.Since(begin), time.Second)
}

// Where etcd would panic, there is an error.
func TestDamagedDatabase(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "member", "snap", "db")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, make([]byte, 1<<16), 0o600))
	_, err := embedded.Start(within(t, 10*time.Second), &embedded.Options{Dir: dir})
	require.ErrorContains(t, err, "embedded: Options.Dir: ")
	require.ErrorContains(t, err, "open database: ")
}

func TestTimers(t *testing.T) {
	s := start(t, &embedded.Options{Election: 100 * time.Millisecond, ClientAddr: servers.Reserve(t)})
	lease, err := s.Client().Grant(within(t, 10*time.Second), 1)
	require.NoError(t, err)
	require.EqualValues(t, 1, lease.TTL)
}
