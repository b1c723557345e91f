// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/servers/consulbin"
)

// enterArena runs the tests in namespaces of their own and ends as they end. It
// returns why it cannot be, if so.
func enterArena() string {
	if os.Geteuid() != 0 {
		return "this is not root"
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "there is no program " + tool
		}
	}
	// Inside there is no network to build it with. Who fails without it says so.
	if consul, err := consulbin.Find(os.Stderr); err == nil {
		must(os.Setenv(consulbin.Env, consul.Path))
	}
	clock, err := os.CreateTemp("", "quorate-chaos-clock-")
	if err != nil {
		return err.Error()
	}
	defer os.Remove(clock.Name())
	defer clock.Close()
	self, err := os.Executable()
	if err != nil {
		return err.Error()
	}
	cmd := exec.Command(self)
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), envArena+"="+inside, envClock+"="+clock.Name())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // with whose end it would be killed
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM)
	if err := cmd.Start(); err != nil {
		signal.Reset()
		return "no namespaces: " + err.Error()
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	_ = cmd.Wait()
	signal.Reset()
	if b, err := os.ReadFile(clock.Name()); err == nil && len(b) > 0 { // it died while the clock was wrong
		if right, err := strconv.ParseInt(string(b), 10, 64); err == nil {
			must(setReal(right))
		}
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Exited() && status.ExitStatus() == noArena {
		return "namespaces cannot be used here" // it has said why
	}
	_ = os.Remove(clock.Name())
	if status.Signaled() {
		fmt.Fprintln(os.Stderr, "chaos:", cmd.ProcessState)
		os.Exit(128 + int(status.Signal()))
	}
	os.Exit(status.ExitStatus())
	return ""
}

// setUpArena is the first thing done inside: what is mounted stays here, and
// there is a loopback.
func setUpArena() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	const named = "/run/netns" // where ip keeps them
	if err := os.MkdirAll(named, 0o755); err != nil {
		return err
	}
	if err := mountTmpfs(named, "mode=755"); err != nil {
		return fmt.Errorf("mount %s: %w", named, err)
	}
	sweepCgroups()
	for _, c := range []string{
		"ip link set lo up", "nft list ruleset",
		"ip link add quorate type bridge", "ip link delete quorate", // whether there are bridges
	} {
		if _, err := try("", "%s", c); err != nil {
			return err
		}
	}
	return nil
}
