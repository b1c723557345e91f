// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func goldenTable() *table {
	µs := func(n int) figure { return figure{per: time.Duration(n) * time.Microsecond, n: 1} }
	fair := func(f figure, share float64) figure { f.share = share; return f }
	var free, loop []sample
	for i := range 5 {
		free = append(free, sample{µs(1000), µs(1100 + 10*i), µs(1200)})
		loop = append(loop, sample{µs(400), fair(µs(500+100*i), 0.9), fair(µs(45_000), 1)})
	}
	row := func(i int, samples []sample) result { return result{allRows[i], samples} }
	return &table{
		machine: machine{
			date: "2026-01-02 15:04 UTC", processor: "Abacus, 2 cores", system: "linux/amd64, kernel 6.1", goVersion: "go1.26",
			client: "v3.7.3", etcd: "3.7.3, one member, data in /dev/shm", loadBefore: "0.10", loadAfter: "1.90",
		},
		command: "go -C bench run .",
		runs:    5,
		time:    2 * time.Second,
		results: []result{row(0, free), row(1, loop)},
	}
}

const goldenText = `
date          2026-01-02 15:04 UTC
command       go -C bench run .
processor     Abacus, 2 cores
system        linux/amd64, kernel 6.1
load average  0.10 before, 1.90 after
go            go1.26
etcd          3.7.3, one member, data in /dev/shm
etcd client   v3.7.3
runs          5, interleaved; loops of 2s, other measurements 1s

row           limit                       Quorate                     peer                        Quorate / limit    budget  verdict           peer / Quorate     budget  verdict  fairness
mutex/free    1.00 ms [1.00 ms, 1.00 ms]  1.12 ms [1.11 ms, 1.13 ms]  1.20 ms [1.20 ms, 1.20 ms]  1.12 [1.11, 1.13]  ≤ 1.15  met               1.07 [1.06, 1.08]  –       –        –
mutex/loop/2  400 µs [400 µs, 400 µs]     700 µs [600 µs, 800 µs]     45.0 ms [45.0 ms, 45.0 ms]  1.75 [1.50, 2.00]  ≤ 1.5   met within noise  64.3 [56.2, 75.0]  ≥ 50    met      0.90, peer 1.00
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
- runs: 5, interleaved; loops of 2s, other measurements 1s

| row | limit | Quorate | peer | Quorate / limit | budget | verdict | peer / Quorate | budget | verdict | fairness |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| mutex/free | 1.00 ms [1.00 ms, 1.00 ms] | 1.12 ms [1.11 ms, 1.13 ms] | 1.20 ms [1.20 ms, 1.20 ms] | 1.12 [1.11, 1.13] | ≤ 1.15 | met | 1.07 [1.06, 1.08] | – | – | – |
| mutex/loop/2 | 400 µs [400 µs, 400 µs] | 700 µs [600 µs, 800 µs] | 45.0 ms [45.0 ms, 45.0 ms] | 1.75 [1.50, 2.00] | ≤ 1.5 | met within noise | 64.3 [56.2, 75.0] | ≥ 50 | met | 0.90, peer 1.00 |
`

func TestTable(t *testing.T) {
	golden := goldenTable()
	text, notes, _ := strings.Cut(golden.text(), "\n\nCells ")
	require.Equal(t, goldenText, "\n"+text+"\n")
	require.Contains(t, notes, "mutex/loop/2: 2 sessions lock and unlock in a loop, per acquisition; the limit is one bare commit seen by a watcher; the peer is concurrency.Mutex.\n")
	md, notes, _ := strings.Cut(golden.markdown(), "\n\n- Cells ")
	require.Equal(t, goldenMarkdown, "\n"+md+"\n")
	require.Contains(t, notes, "\n- mutex/free: Lock and Unlock of a lock that nobody else wants; the limit is two bare commits, a create and a delete; the peer is concurrency.Mutex.\n")
}

func TestMachine(t *testing.T) {
	m := describeMachine()
	require.Contains(t, m.processor, " cores")
	require.NotEmpty(t, m.loadBefore)
	require.Equal(t, "unknown", file(t.TempDir()+"/none"))
}
