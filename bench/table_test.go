// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func goldenTable() *table {
	µs := func(n int) figure { return figure{per: time.Duration(n) * time.Microsecond, n: 1} }
	fair := func(f figure, share, turns float64) figure { f.share, f.turns = share, turns; return f }
	var free, loop, handover, unfair []sample
	for i := range 5 {
		free = append(free, sample{µs(1000), µs(1100 + 10*i), µs(1200)})
		loop = append(loop, sample{µs(400), fair(µs(500+100*i), 0.9, 1500), fair(µs(45_000), 1, 20)})
		handover = append(handover, sample{limit: µs(1000), ours: µs(1500)})
		unfair = append(unfair, sample{µs(400), fair(µs(800), 0.9, 1200), fair(µs(1600), 0, 0.5)})
	}
	named := func(name string, samples []sample) result {
		i := slices.IndexFunc(allRows, func(r row) bool { return r.name == name })
		return result{allRows[i], samples}
	}
	return &table{
		machine: machine{
			date: "2026-01-02 15:04 UTC", processor: "Abacus, 2 cores", system: "linux/amd64, kernel 6.1", goVersion: "go1.26",
			loadBefore: "0.10", loadAfter: "1.90",
		},
		command: "go -C bench run .",
		runs:    5,
		time:    2 * time.Second,
		parts: []part{
			{etcdBackend, "3.7.3, one member, data in /dev/shm", "v3.7.3", []result{named("etcd/free", free), named("etcd/loop/2", loop)}},
			{consulBackend, "1.22.0, one member, data in /dev/shm", "v1.26.1", []result{named("consul/loop/2", unfair), named("consul/handover/1000", handover)}},
		},
	}
}

const goldenText = `
date           2026-01-02 15:04 UTC
command        go -C bench run .
processor      Abacus, 2 cores
system         linux/amd64, kernel 6.1
load average   0.10 before, 1.90 after
go             go1.26
etcd           3.7.3, one member, data in /dev/shm
etcd client    v3.7.3
Consul         1.22.0, one member, data in /dev/shm
Consul client  v1.26.1
runs           5, interleaved; loops of 2s, other measurements 1s

row          limit                       Quorate                     concurrency.Mutex           Quorate / limit    budget  verdict           concurrency.Mutex / Quorate  budget  verdict  fairness         turns per second
etcd/free    1.00 ms [1.00 ms, 1.00 ms]  1.12 ms [1.11 ms, 1.13 ms]  1.20 ms [1.20 ms, 1.20 ms]  1.12 [1.11, 1.13]  ≤ 1.15  met               1.07 [1.06, 1.08]            –       –        –                –
etcd/loop/2  400 µs [400 µs, 400 µs]     700 µs [600 µs, 800 µs]     45.0 ms [45.0 ms, 45.0 ms]  1.75 [1.50, 2.00]  ≤ 1.5   met within noise  64.3 [56.2, 75.0]            ≥ 50    met      0.90, peer 1.00  1500, peer 20.0

row                   limit                       Quorate                     api.Lock                    Quorate / limit    budget  verdict  api.Lock / Quorate  budget  verdict  fairness         turns per second
consul/loop/2         400 µs [400 µs, 400 µs]     800 µs [800 µs, 800 µs]     1.60 ms [1.60 ms, 1.60 ms]  2.00 [2.00, 2.00]  –       –        2.00 [2.00, 2.00]   ≥ 20    not met  0.90, peer 0.00  1200, peer 0.50
consul/handover/1000  1.00 ms [1.00 ms, 1.00 ms]  1.50 ms [1.50 ms, 1.50 ms]  –                           1.50 [1.50, 1.50]  ≤ 2.5   met      –                   –       –        –                –
`

const goldenMarkdown = `
- date: 2026-01-02 15:04 UTC
- command: go -C bench run .
- processor: Abacus, 2 cores
- system: linux/amd64, kernel 6.1
- load average: 0.10 before, 1.90 after
- go: go1.26
- etcd: 3.7.3, one member, data in /dev/shm
- etcd client: v3.7.3
- Consul: 1.22.0, one member, data in /dev/shm
- Consul client: v1.26.1
- runs: 5, interleaved; loops of 2s, other measurements 1s

| row | limit | Quorate | concurrency.Mutex | Quorate / limit | budget | verdict | concurrency.Mutex / Quorate | budget | verdict | fairness | turns per second |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| etcd/free | 1.00 ms [1.00 ms, 1.00 ms] | 1.12 ms [1.11 ms, 1.13 ms] | 1.20 ms [1.20 ms, 1.20 ms] | 1.12 [1.11, 1.13] | ≤ 1.15 | met | 1.07 [1.06, 1.08] | – | – | – | – |
| etcd/loop/2 | 400 µs [400 µs, 400 µs] | 700 µs [600 µs, 800 µs] | 45.0 ms [45.0 ms, 45.0 ms] | 1.75 [1.50, 2.00] | ≤ 1.5 | met within noise | 64.3 [56.2, 75.0] | ≥ 50 | met | 0.90, peer 1.00 | 1500, peer 20.0 |

| row | limit | Quorate | api.Lock | Quorate / limit | budget | verdict | api.Lock / Quorate | budget | verdict | fairness | turns per second |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| consul/loop/2 | 400 µs [400 µs, 400 µs] | 800 µs [800 µs, 800 µs] | 1.60 ms [1.60 ms, 1.60 ms] | 2.00 [2.00, 2.00] | – | – | 2.00 [2.00, 2.00] | ≥ 20 | not met | 0.90, peer 0.00 | 1200, peer 0.50 |
| consul/handover/1000 | 1.00 ms [1.00 ms, 1.00 ms] | 1.50 ms [1.50 ms, 1.50 ms] | – | 1.50 [1.50, 1.50] | ≤ 2.5 | met | – | – | – | – | – |
`

func TestTable(t *testing.T) {
	golden := goldenTable()
	text, notes, _ := strings.Cut(golden.text(), "\n\nCells ")
	require.Equal(t, goldenText, "\n"+text+"\n")
	require.Contains(t, notes, "etcd/loop/2: 2 sessions lock and unlock in a loop, per acquisition; the limit is one bare commit seen by a watcher.\n")
	md, notes, _ := strings.Cut(golden.markdown(), "\n\n- Cells ")
	require.Equal(t, goldenMarkdown, "\n"+md+"\n")
	require.Contains(t, notes, "\n- etcd/free: Lock and Unlock of a lock that nobody else wants; the limit is two bare commits, a create and a delete.\n")
}

func TestMachine(t *testing.T) {
	m := describeMachine()
	require.Contains(t, m.processor, " cores")
	require.NotEmpty(t, m.loadBefore)
	require.Equal(t, "unknown", file(t.TempDir()+"/none"))
}
