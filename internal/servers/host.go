// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"net"
	"os/exec"
	"strconv"
	"testing"
)

// Host is where a member runs, if that is not loopback: in a network namespace
// of its own, so that what goes to it and comes from it can be cut.
type Host struct {
	Addr  string // its IP address, of which it takes what ports it likes
	Netns string // by its name for ip-netns(8); "" is that of the test
	Dir   string // for its data, which does not exist yet; "" is beside those of the others
}

// at returns an address with one of the ports that no other host can take.
func (h *Host) at(port int) string { return net.JoinHostPort(h.Addr, strconv.Itoa(port)) }

// command returns the same command, for h. ip turns into it by exec, so that
// its process id is right, and signals and the parent's death reach it.
func (h *Host) command(cmd *exec.Cmd) *exec.Cmd {
	if h == nil || h.Netns == "" {
		return cmd
	}
	there := exec.Command("ip", append([]string{"netns", "exec", h.Netns, cmd.Path}, cmd.Args[1:]...)...)
	there.Env = cmd.Env
	return there
}

// hostOf returns the host of member i, or nil if it has none.
func hostOf(t testing.TB, hosts []Host, i, members int) *Host {
	t.Helper()
	if len(hosts) == 0 {
		return nil
	}
	if len(hosts) != members {
		t.Fatalf("servers: %d hosts for %d members", len(hosts), members)
	}
	return &hosts[i]
}
