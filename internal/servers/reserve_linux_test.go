// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The kernel is told to choose from one port only, the reserved one: it must
// rather fail than give it to a listener on any port or to a connection.
func TestReserveKeepsPort(t *testing.T) {
	addr, err := net.ResolveTCPAddr("tcp", servers.Reserve(t))
	require.NoError(t, err)
	only := func(port int) func(_, _ string, c syscall.RawConn) error {
		return func(_, _ string, c syscall.RawConn) error {
			var err error
			return errors.Join(c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_LOCAL_PORT_RANGE, port<<16|port)
			}), err)
		}
	}
	listen := func(host string, port int) error {
		l, err := (&net.ListenConfig{Control: only(port)}).Listen(context.Background(), "tcp4", host)
		if err == nil {
			err = l.Close()
		}
		return err
	}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	dial := func(port int) error {
		c, err := (&net.Dialer{Control: only(port)}).Dial("tcp", server.Addr().String())
		if err == nil {
			err = c.Close()
		}
		return err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, free.Close())
	if err := listen("127.0.0.1:0", free.Addr().(*net.TCPAddr).Port); errors.Is(err, unix.ENOPROTOOPT) {
		t.Skip("this kernel cannot narrow the range of ports (before Linux 6.3)")
	} else {
		require.NoError(t, err, "the check itself: a free port is given out")
	}
	require.NoError(t, dial(free.Addr().(*net.TCPAddr).Port), "the check itself")

	require.ErrorIs(t, listen("127.0.0.1:0", addr.Port), unix.EADDRINUSE)
	require.ErrorIs(t, listen("0.0.0.0:0", addr.Port), unix.EADDRINUSE)
	require.ErrorIs(t, dial(addr.Port), unix.EADDRNOTAVAIL)
	for range 2 { // and once more, as after a restart
		l, err := net.Listen("tcp", addr.String())
		require.NoError(t, err)
		require.ErrorIs(t, dial(addr.Port), unix.EADDRNOTAVAIL)
		require.NoError(t, l.Close())
	}
}
