// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/consul"
)

// The contract's suite under the policy, but for the prefix: its keys have
// roots of their own.
func consulContract(t *testing.T, site *consulSite) {
	token := site.token(t, consulSwap(t, site.rules, `key_prefix "quorate/"`, `key_prefix "adaptertest-"`))
	var tests atomic.Int32 // slow ones run in parallel
	t.Run("suite", func(t *testing.T) {
		adaptertest.Run(t, func(t *testing.T) adaptertest.Backend {
			tests.Add(1)
			store, sent := site.store(t, token.secret, consul.Options{})
			return adaptertest.Backend{Store: store, Calls: sent.calls}
		})
	})
	require.Positive(t, tests.Load())
}
