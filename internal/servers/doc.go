// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package servers runs real etcd and Consul servers for tests, each in a
// process of its own that can be killed, frozen and started again. A server
// inside the test's process can have none of that done to it.
//
//	func TestMain(m *testing.M) { servers.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		e := servers.StartEtcd(t, 3)
//		client := e.Client(t)
//		...
//		e.Member(0).Kill()
//		e.Member(0).Restart()
//
//		c := servers.StartConsulWith(t, 3, &servers.ConsulOptions{Clients: 1})
//		agent := c.Client(t, 3) // behind the servers
//		...
//	}
//
// An etcd server is the running test binary once more: Main turns it into one
// when it finds the settings of one in its environment. What it does is package
// embedded. Consul is a program that package consulbin finds or builds, with
// a configuration file that is drawn up here. Only tests import this package.
//
// # Guarantees
//
//   - StartEtcd and StartConsul return when each member has answered a write,
//     and when, at each agent of Consul, sessions can be created.
//   - Addresses never change, and a member that was killed finds its ports free
//     again (Linux: see reserve; elsewhere it may fail to bind, which fails the
//     test). On Linux each Consul has a loopback address of its own.
//   - Members die with the test binary, however it dies (Linux; elsewhere a
//     frozen etcd and every Consul stay). Their data are in memory where there
//     is room, and are removed at the end of the test, or by the next Main
//     after a SIGKILL.
//   - A member that ends by itself fails the test and shows its last words, unless
//     the test has said that it may: Member.MayEnd.
//   - With hosts in the options, members run in network namespaces and on data
//     directories that the test has made; all else holds as on loopback.
//   - One package at a time runs its tests on this machine, per user, if all
//     call Main; with -short nothing is locked and no server is started.
//     On Windows there is no lock: use go test -p 1.
//   - All methods but those that take a testing.TB may be called from any
//     goroutine until the test ends.
//
// # Not guaranteed
//
//   - Power loss: the data survive a SIGKILL because the kernel keeps what was
//     written, not because a disk has it. Of a Consul with Dev not even that.
//   - Timing like in production: elections of etcd take 100 to 200 ms here, not
//     1 to 2 s, and leases of 1 s exist; elections of Consul 2 to 3 s, not 10
//     to 14 s, and sessions of 100 ms exist. The options take other timers.
//   - Consul's limits are its defaults, 200 connections of one host to one
//     agent among them. Its leader does not forget dead servers, which it does
//     by default: see ConsulOptions.
//   - A client agent that was terminated has left, and its sessions are gone,
//     but for up to a minute the catalog may still name its node.
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
//	Main not called                StartEtcd and StartConsul fail the test
//	no Consul, and none is built   StartConsul fails the test with the command to repeat
//	not ready in 30 s              Start fails the test with the member's last words
//	member ends by itself          the test fails at its end; Ready returns the error
//	signal cannot be sent          the test fails, from whatever goroutine
//	goroutine left after all tests the package fails
package servers
