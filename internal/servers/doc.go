// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package servers runs real etcd servers for tests, each in a process of its
// own that can be killed, frozen and started again. A server inside the test's
// process can have none of that done to it.
//
//	func TestMain(m *testing.M) { servers.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		e := servers.StartEtcd(t, 3)
//		c := e.Client(t)
//		...
//		e.Member(0).Kill()
//		e.Member(0).Restart()
//	}
//
// The processes are the running test binary once more: Main turns it into a
// server when it finds the settings of one in its environment. What the server
// does is package embedded. Only tests import this package.
//
// # Guarantees
//
//   - StartEtcd returns when each member has answered a write.
//   - Addresses never change, and a member that was killed finds its port free
//     again (Linux: see reserve; elsewhere it may fail to bind, which fails the test).
//   - Members die with the test binary, however it dies (Linux; elsewhere a
//     frozen member stays). Their data are in memory where there is room, and
//     are removed at the end of the test, or by the next Main after a SIGKILL.
//   - A member that ends by itself fails the test and shows its last words.
//   - One package at a time runs its tests on this machine, per user, if all
//     call Main; with -short nothing is locked and no server is started.
//     On Windows there is no lock: use go test -p 1.
//   - All methods but those that take a testing.TB may be called from any
//     goroutine until the test ends.
//
// # Not guaranteed
//
//   - Power loss: the data survive a SIGKILL because the kernel keeps what was
//     written, not because a disk has it.
//   - Timing like in production: elections take 100 to 200 ms here, not 1 to
//     2 s, and leases of 1 s exist. StartEtcdWith takes other timers.
//
// # States of a member
//
//	running --Stop--> frozen --Cont--> running
//	running, frozen --Kill, Terminate--> ended --Restart--> running
//
// # Failures
//
//	failure                        what happens
//	-------                        ------------
//	Main not called                StartEtcd fails the test
//	not ready in 30 s              StartEtcd fails the test with the member's last words
//	member ends by itself          the test fails at its end; Ready returns the error
//	signal cannot be sent          the test fails, from whatever goroutine
//	goroutine left after all tests the package fails
package servers
