// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestHoldRefusesWhatIsTaken(t *testing.T) {
	host := privateHost()
	addr, release, err := reserveBoth(host)
	require.NoError(t, err)
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	require.NoError(t, err)
	sa := &unix.SockaddrInet4{Addr: [4]byte(tcp.IP.To4()), Port: tcp.Port}

	_, err = hold(sa)
	require.ErrorIs(t, err, unix.EADDRINUSE, "it is reserved")
	for range 2 { // as after a restart
		l, err := net.Listen("tcp", addr)
		require.NoError(t, err, "but not for who asks for it by number")
		u, err := net.ListenPacket("udp", addr)
		require.NoError(t, err)
		require.NoError(t, l.Close())
		require.NoError(t, u.Close())
	}
	release()

	u, err := net.ListenPacket("udp", addr)
	require.NoError(t, err)
	_, err = hold(sa)
	require.ErrorIs(t, err, unix.EADDRINUSE, "taken for UDP")
	require.NoError(t, u.Close())
	again, err := hold(sa)
	require.NoError(t, err)
	again()
}

func TestPrivateHostsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		host := privateHost()
		require.True(t, net.ParseIP(host).IsLoopback())
		seen[host] = true
	}
	require.Greater(t, len(seen), 95)
}
