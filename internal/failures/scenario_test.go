// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

// A scenario is one way to fail.
type scenario struct {
	name string
	what string  // what is done, for the reader of the table
	on   []*kind // tried on these
	// convicts are those that fail it each time, with no chance involved.
	convicts []*kind
	run      func(*trial)
}

var (
	allLocks  = []*kind{oursOnEtcd, oursOnConsul, theirMutex, theirLock}
	allQueues = []*kind{oursOnEtcd, oursOnConsul, theirMutex, theirElection}
)

// linkScenarios hit the way from a party to the servers, and the parties. They
// do not disturb each other.
func linkScenarios() []scenario {
	return append(append(cutScenarios, outcomeScenarios...), waitScenarios...)
}
