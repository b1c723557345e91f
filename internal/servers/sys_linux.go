// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const shm = "/dev/shm"

// roomy says whether dir has room for n servers, each of which reserves
// 128 MB for its log at once.
func roomy(dir string, n int) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Bavail*uint64(st.Bsize) > uint64(n)<<28
}

// dieWithParent makes the kernel kill a child, stopped or not, when the
// thread that started it ends.
var dieWithParent = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

// sigstop returns when every thread of p stands still: until then, a server
// goes on answering.
func sigstop(p *os.Process) error {
	if err := p.Signal(unix.SIGSTOP); err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); !stopped(p.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d runs on 10s after SIGSTOP", p.Pid)
		}
	}
	return nil
}

func stopped(pid int) bool {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, name := range stats {
		// "pid (name) state ...", and the name may hold anything.
		stat, err := os.ReadFile(name)
		if i := bytes.LastIndexByte(stat, ')'); err == nil && (i < 0 || i+2 >= len(stat) || stat[i+2] != 'T') {
			return false
		}
	}
	return len(stats) > 0
}

func sigcont(p *os.Process) error { return p.Signal(unix.SIGCONT) }

// reserve chooses a free port on loopback and keeps it for whoever is told:
// a socket that is bound but does not listen. Linux lets another socket with
// SO_REUSEADDR, which Go sets on all that listen, bind and listen there, but
// gives the port to nobody who has not asked for it by number, neither to
// outgoing connections nor to listeners on port 0. So a server that was killed
// finds its port free when it starts again.
func reserve() (addr string, release func(), err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	release = func() { _ = unix.Close(fd) }
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var sa unix.Sockaddr
	if err == nil {
		sa, err = unix.Getsockname(fd)
	}
	if err != nil {
		release()
		return "", nil, err
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(sa.(*unix.SockaddrInet4).Port)), release, nil
}

// privateHost draws a loopback address for one cluster.
func privateHost() string {
	return netip.AddrFrom4([4]byte{127, byte(64 + rand.N(128)), byte(rand.N(256)), byte(1 + rand.N(254))}).String()
}

// reserveBoth is reserve for who binds a port for TCP and the same for UDP. A
// UDP socket cannot be shared, so what keeps that port is that nobody knows
// the host, and that the port is below those that the kernel gives to sockets
// of any host, which would be in the way.
func reserveBoth(host string) (addr string, release func(), err error) {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "", nil, err
	}
	for range 100 {
		port := 10000 + rand.N(20000)
		if release, err = hold(&unix.SockaddrInet4{Addr: ip.As4(), Port: port}); err == nil {
			return netip.AddrPortFrom(ip, uint16(port)).String(), release, nil
		}
	}
	return "", nil, err
}

// hold binds a port that is free for TCP and for UDP, and keeps it as reserve
// does. The option comes after the bind, or else two of us would get the port.
func hold(sa *unix.SockaddrInet4) (release func(), err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	release = func() { _ = unix.Close(fd) }
	if err = unix.Bind(fd, sa); err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = udpFree(sa)
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func udpFree(sa *unix.SockaddrInet4) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Bind(fd, sa)
}
