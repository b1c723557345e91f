// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/internal/servers"
)

// The arena is where the whole test binary runs if it can: network and mount
// namespaces of its own, so that servers can be cut from each other, and nothing
// of it is left on the machine however the tests end.
const (
	envArena = "QUORATE_CHAOS_ARENA" // inside, or why the tests are not
	envClock = "QUORATE_CHAOS_CLOCK" // a file with the right time while the clock is wrong
	inside   = "inside"
	noArena  = 91 // the status of who finds that it cannot be
)

// arena puts this process into the arena, once: its children are there too.
func arena(needed bool) {
	switch why, told := os.LookupEnv(envArena); {
	case !told && needed:
		must(os.Setenv(envArena, enterArena()))
	case why == inside && os.Getenv(envArenaUp) == "":
		must(os.Setenv(envArenaUp, "1"))
		if err := setUpArena(); err != nil {
			fmt.Fprintln(os.Stderr, "chaos: arena:", err)
			os.Exit(noArena)
		}
	}
}

const envArenaUp = "QUORATE_CHAOS_ARENA_UP" // it need not be done again

// Which server of a cluster in the arena has its data where.
const (
	onDisk = 1 // a block device, if there is one: slow disk
	onFull = 2 // a file system of its own, in memory: full disk
)

const tmpfsSize = "size=4g"

// startEtcd starts three members, in namespaces of their own if that can be.
func startEtcd(t testing.TB) *servers.Etcd {
	t.Helper()
	return servers.StartEtcdWith(t, 3, &servers.Options{
		Heartbeat: 30 * time.Millisecond, Election: 300 * time.Millisecond, Hosts: hosts(t),
	})
}

// startConsul starts three servers, in namespaces of their own if that can be.
func startConsul(t testing.TB) *servers.Consul {
	t.Helper()
	return servers.StartConsulWith(t, 3, &servers.ConsulOptions{Hosts: hosts(t), LogSegment: 4})
}

var networks atomic.Int32

// hosts makes a network of three hosts and of the test, which is its gateway.
func hosts(t testing.TB) []servers.Host {
	t.Helper()
	if testing.Short() || os.Getenv(envArena) != inside {
		return nil
	}
	n := networks.Add(1)
	bridge, subnet := fmt.Sprint("qb", n), netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 0})
	addr := func(last byte) string {
		a := subnet.As4()
		a[3] = last
		return netip.AddrFrom4(a).String()
	}
	do(t, "ip link add %s type bridge", bridge)
	t.Cleanup(func() { do(t, "ip link delete %s", bridge) })
	do(t, "ip addr add %s/24 dev %s", addr(gateway), bridge)
	do(t, "ip link set %s up", bridge)
	var all []servers.Host
	for i := range 3 {
		h := servers.Host{Addr: addr(byte(1 + i)), Netns: fmt.Sprintf("q%d-%d", n, i)}
		do(t, "ip netns add %s", h.Netns)
		t.Cleanup(func() { do(t, "ip netns delete %s", h.Netns) })
		do(t, "ip link add %[1]s type veth peer name eth0 netns %[1]s", h.Netns)
		do(t, "ip link set %s master %s up", h.Netns, bridge)
		do(t, "ip -n %s addr add %s/24 dev eth0", h.Netns, h.Addr)
		do(t, "ip -n %s link set eth0 up", h.Netns)
		do(t, "ip -n %s link set lo up", h.Netns)
		all = append(all, h)
	}
	if disk := t.TempDir(); blockDevice(disk) != "" {
		all[onDisk].Dir = filepath.Join(disk, "data")
	}
	small := t.TempDir()
	require.NoError(t, mountTmpfs(small, tmpfsSize))
	t.Cleanup(func() { require.NoError(t, unmount(small)) })
	all[onFull].Dir = filepath.Join(small, "data")
	return all
}

const gateway = 254

// gatewayOf returns the address from which tests and clients reach a host.
func gatewayOf(h servers.Host) string {
	a := netip.MustParseAddr(h.Addr).As4()
	a[3] = gateway
	return netip.AddrFrom4(a).String()
}

// blockDevice returns the numbers of the disk that a directory is on, or "" if
// it is on none.
func blockDevice(dir string) string {
	dev, err := deviceOf(dir)
	if err != nil {
		return ""
	}
	numbers := fmt.Sprintf("%d:%d", major(dev), minor(dev))
	sys := filepath.Join("/sys/dev/block", numbers)
	if _, err := os.Stat(sys); err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(sys, "partition")); err != nil {
		return numbers
	}
	whole, err := filepath.EvalSymlinks(sys)
	if err != nil {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(filepath.Dir(whole), "dev"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// try runs a command whose words are separated by spaces.
func try(stdin, format string, args ...any) (string, error) {
	line := fmt.Sprintf(format, args...)
	words := strings.Fields(line)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", line, err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

func do(t testing.TB, format string, args ...any) {
	t.Helper()
	_, err := try("", format, args...)
	require.NoError(t, err)
}
