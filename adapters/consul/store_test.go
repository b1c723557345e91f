// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/stretchr/testify/require"
)

func TestNewRefuses(t *testing.T) {
	_, err := consul.New(nil, nil)
	require.ErrorIs(t, err, adapters.ErrInvalid)
	c := client(t, newFake())
	for want, opts := range map[string]consul.Options{
		"Options.Failover[1] is nil":               {Failover: []*api.Client{c, nil}},
		`Options.Node is "a/b", must be letters`:   {Node: "a/b"},
		`Options.Node is "..", must be letters`:    {Node: ".."},
		`Options.Node is "a b", must be letters`:   {Node: "a b"},
		`Options.Node is "%41", must be letters`:   {Node: "%41"},
		`, must be letters`:                        {Node: strings.Repeat("n", 256)},
		"Options.MinTTL is -1ns, must be from 1ms": {MinTTL: -1},
		"Options.MinTTL is 1µs, must be from 1ms":  {MinTTL: time.Microsecond},
		"to 24h0m0s":                               {MinTTL: 25 * time.Hour},
		"Options.MaxCalls is -1, minimum 1":        {MaxCalls: -1},
		"Options.MaxPolls is -1, minimum 1":        {MaxPolls: -1},
		"Options.ProbeEvery is 1ms, minimum 300ms": {ProbeEvery: time.Millisecond},
	} {
		_, err := consul.New(c, &opts)
		require.ErrorIs(t, err, adapters.ErrInvalid, want)
		require.ErrorContains(t, err, want)
	}
}

// TestOptionsAreCopied: what the caller does with his afterwards is nobody's
// business.
func TestOptionsAreCopied(t *testing.T) {
	a, b := twins()
	opts := consul.Options{Failover: []*api.Client{client(t, b)}, MinTTL: time.Second}
	store, err := consul.New(client(t, a), &opts)
	require.NoError(t, err)
	require.Equal(t, time.Second, store.Limits().MinTTL)
	opts.Failover[0], opts.MinTTL, opts.Node = nil, 0, "other"
	a.die()
	require.Error(t, commit(t.Context(), store))
	require.NoError(t, commit(t.Context(), store))
	require.Equal(t, time.Second, store.Limits().MinTTL)
}
