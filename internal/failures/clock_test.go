// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var clockSteps = scenario{
	name: "the time of day jumps", what: "The machine's clock is set a minute ahead for two TTLs, then a minute back for two TTLs, then right. Parties and servers share it.",
	on: allLocks,
}

// jump runs clockSteps on all grounds at once: there is one clock.
func (rs *results) jump(t *testing.T, grounds ...*ground) {
	const ttl = 2 * time.Second
	restore, err := setClock(0)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the clock cannot be set: this needs Linux and the right to do it")
	}
	require.NoError(t, err)
	t.Cleanup(restore)
	var all []*stage
	first, second := map[*trial]*party{}, map[*trial]*party{}
	for _, g := range grounds {
		st := newStage(t, g, nil, clockSteps, 0)
		all = append(all, st)
		a, b := st.pairs(ttl)
		for tr := range a {
			first[tr], second[tr] = a[tr], b[tr]
		}
	}
	for _, off := range []time.Duration{time.Minute, -time.Minute} {
		_, err := setClock(off)
		require.NoError(t, err)
		within(2*ttl, nil)
		restore()
	}
	for _, st := range all {
		st.each("after it", func(tr *trial) {
			if tr.held(first[tr]) {
				tr.handsOver(first[tr], second[tr], afterFault)
			}
		})
		st.ends()
	}
	rs.sum(t, clockSteps, all)
}

// TestSetClock: it must be put right exactly, or the machine is off for good.
func TestSetClock(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: sets the machine's clock")
	}
	before, up := time.Now().Round(0), now()
	restore, err := setClock(time.Minute)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the clock cannot be set: this needs Linux and the right to do it")
	}
	require.NoError(t, err)
	ahead := time.Now().Round(0).Sub(before) - (now() - up)
	restore()
	after := time.Now().Round(0).Sub(before) - (now() - up)
	assert.InDelta(t, time.Minute, ahead, float64(50*time.Millisecond))
	assert.InDelta(t, 0, after, float64(50*time.Millisecond))
}
