// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// good is the record of a run in which all was as promised.
func good() *record {
	led := newLedger()
	leads := func(who string, token uint64, from, until time.Duration) {
		led.tell(event{who: who, Kind: evLeading, Token: token, At: from})
		led.tell(event{who: who, Kind: evCheck, Token: token, At: until})
	}
	leads("w1", 10, 100*ms, 1000*ms)
	leads("w2", 20, 4000*ms, 6000*ms)
	leads("w3", 30, 9000*ms, 12000*ms)
	leads("w2", 40, 12010*ms, 12500*ms)
	led.ended(10, endKilled)
	led.ended(20, endFrozen)
	led.ended(30, endResigned)
	value := map[string]uint64{}
	writes := func(who, item string, token uint64, at time.Duration) {
		value[item]++
		led.wrote(write{request{who, item, token, true, value[item]}, at, value[item] - 1, true})
	}
	writes("w1", schedule, 10, 500*ms)
	writes("w1", counter, 11, 600*ms)
	writes("w3", counter, 12, 610*ms)
	writes("w2", schedule, 20, 4001*ms)
	writes("w3", schedule, 30, 9001*ms)
	writes("w3", counter, 31, 9002*ms)
	led.wrote(write{request{"w2", schedule, 20, true, 3}, 11000 * ms, 3, false})
	writes("w3", schedule, 30, 11001*ms)
	r := &record{
		values:     value,
		late:       &lateness{who: "w2", token: 20, woken: 10900 * ms, denied: 11001 * ms, over: 10901 * ms},
		ends:       []string{endKilled, endFrozen, endResigned},
		afterDeath: 5 * time.Second, afterResign: time.Second,
	}
	r.terms, r.writes = led.copies()
	return r
}

func TestVerdictOK(t *testing.T) {
	r := good()
	require.Equal(t, "VERDICT: ok - one leader at a time, 0 lost updates, 1 late write refused, 0 keys left", r.verdict())
	cs := r.changes()
	require.Len(t, cs, 3)
	require.Equal(t, 3000*ms, cs[0].nobody)
	require.Equal(t, 10*ms, cs[2].nobody)

	r.late, r.ends = nil, []string{endKilled, endResigned} // as on Windows
	require.Equal(t, "VERDICT: ok - one leader at a time, 0 lost updates, late write not shown (no SIGSTOP here), 0 keys left", r.verdict())
}

// TestVerdictPlanted plants one fault after the other into a good record.
func TestVerdictPlanted(t *testing.T) {
	refusal := func(r *record) int {
		return slices.IndexFunc(r.writes, func(w write) bool { return !w.accepted })
	}
	for _, c := range []struct {
		name  string
		plant func(*record)
		want  []string // all faults, by a part of each
	}{
		{"two leaders at once", func(r *record) { r.terms[0].until = 4001 * ms }, []string{"w1 (token 10) and w2 (token 20) led at once for 1.0 ms"}},
		{"a long term around a short one", func(r *record) { r.terms[0].until = 20000 * ms }, []string{
			"w1 (token 10) and w2 (token 20) led at once", "w1 (token 10) and w3 (token 30) led at once", "w1 (token 10) and w2 (token 40) led at once",
			"no other worker led after a leader's end by SIGSTOP", "no other worker led after a leader's end by request"}},
		{"token goes down", func(r *record) { r.terms[3].token = 29 }, []string{"with token 29, not larger than 30"}},
		{"token stays", func(r *record) { r.terms[3].token = 30 }, []string{"with token 30, not larger than 30"}},
		{"a gap that is too long", func(r *record) { r.terms[0].until = -1100 * ms; r.terms[0].from = -1200 * ms }, []string{"nobody led for 5.10 s after w1"}},
		{"a slow hand-over", func(r *record) { r.terms[3].from += time.Second }, []string{"nobody led for 1.01 s after w3"}},
		{"a kill that was not shown", func(r *record) { r.terms[0].end = "" }, []string{"no other worker led after a leader's end by SIGKILL"}},
		{"the same worker again", func(r *record) { r.terms[1].who = "w1" }, []string{"no other worker led after a leader's end by SIGKILL"}},
		{"a late write accepted", func(r *record) {
			w := &r.writes[refusal(r)]
			w.accepted, w.Value, r.values[schedule] = true, 4, 5
			r.writes[len(r.writes)-1].before, r.writes[len(r.writes)-1].Value = 4, 5
		}, []string{"a late write of w2 to the schedule was accepted (token 20 after a larger one)", "no late write of w2 was refused"}},
		{"refused without reason", func(r *record) { r.writes[refusal(r)].Token = 30 }, []string{"refused without reason (token 30)", "no late write of w2 was refused"}},
		{"refused before the wake", func(r *record) { r.writes[refusal(r)].at = 10000 * ms }, []string{"no late write of w2 was refused"}},
		{"only another write refused", func(r *record) {
			w := &r.writes[refusal(r)]
			w.Item, w.Token, w.at = counter, 11, 11000*ms
		}, []string{"no late write of w2 was refused"}},
		{"a lost update", func(r *record) {
			r.writes[2].Value, r.writes[2].before, r.values[counter] = 1, 0+1, 2
			r.writes[5].before, r.writes[5].Value = 1, 2
		},
			[]string{"1 lost update of the counter", "the counter is 2 after 3 accepted writes"}},
		{"a write that vanished", func(r *record) { r.values[counter]-- }, []string{"the counter is 2 after 3 accepted writes"}},
		{"a write from nowhere", func(r *record) { r.values[schedule]++ }, []string{"the schedule is 5 after 4 accepted writes"}},
		{"no writes", func(r *record) { r.writes, r.values, r.late = nil, nil, nil }, []string{"nobody ever wrote the counter", "nobody ever wrote the schedule"}},
		{"Check passes after the wake", func(r *record) { r.late.denied = 0 }, []string{"w2's Check did not fail"}},
		{"context goes on after the wake", func(r *record) { r.late.over = 0 }, []string{"w2's context did not end"}},
		{"leased keys left", func(r *record) { r.leased = 2 }, []string{"2 keys left that should have gone with their leases"}},
		{"another key left", func(r *record) { r.others = 1 }, []string{"1 key left that hung on no lease"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := good()
			c.plant(r)
			fs := r.faults()
			require.Len(t, fs, len(c.want), "%q", fs)
			for _, want := range c.want {
				require.True(t, slices.ContainsFunc(fs, func(f string) bool { return contains(f, want) }), "%q lacks %q", fs, want)
			}
			require.Contains(t, r.verdict(), "VERDICT: FAILED - "+fs[0])
		})
	}
}

// A term is known by its worker and its token: what a woken worker still says
// of an old term must not prolong another.
func TestLedgerTerms(t *testing.T) {
	led := newLedger()
	led.tell(event{who: "w1", Kind: evLeading, Token: 1, At: 1})
	led.tell(event{who: "w2", Kind: evLeading, Token: 2, At: 5})
	led.tell(event{who: "w1", Kind: evCheck, Token: 1, At: 6})
	led.tell(event{who: "w1", Kind: evCheck, Token: 9, At: 7})
	terms, _ := led.copies()
	require.Equal(t, []term{{"w1", 1, 1, 6, ""}, {"w2", 2, 5, 5, ""}}, terms)
	lead, ok := led.leader()
	require.True(t, ok)
	require.Equal(t, "w2", lead.who)
	old, ok := led.before(2)
	require.True(t, ok)
	require.Equal(t, "w1", old.who)
	_, ok = led.before(1)
	require.False(t, ok)
}
