// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how many TTLs a fault of a disk may take to be felt.
const patience = 15

// slowDisk: a server's disk takes four writes a second.
func slowDisk(r *run, n nemesis) {
	m := r.cluster.Servers()[onDisk]
	before := min(r.lag(onDisk, time.Second), r.lag(onDisk, time.Second), r.lag(onDisk, time.Second))
	disk := blockDevice(filepath.Dir(m.Dir()))
	effect, end := r.begin(n, fmt.Sprint("server ", onDisk))
	over := time.After(2 * r.ttl)
	g := diskGroups.join(r, diskThrottle, m.Pid())
	defer g.leave()
	g.set(diskThrottle, disk+" 4")
	undo := sync.OnceFunc(func() { g.set(diskThrottle, disk+" 0") })
	defer undo()
	// On a machine that has much else to do it takes longer to tell.
	var worst time.Duration
	slow := func() bool { return worst > 200*time.Millisecond && worst > 4*before }
	for began := time.Now(); !slow() && time.Since(began) < patience*r.ttl; {
		worst = max(worst, r.lag(onDisk, 2*r.ttl))
	}
	<-over
	if slow() {
		effect("writes are known there after %v, before it after %v", worst, before)
	}
	undo()
	g.leave()
	r.ready()
	end()
}

// fullDisk: nothing more can be written where a server has its data. Both reserve
// space for their log ahead, so that it takes some writes until they notice. etcd
// ends then; Consul says so or not, and knows of nothing that is written from then on.
func fullDisk(r *run, n nemesis) {
	m := r.cluster.Servers()[onFull]
	dir := filepath.Dir(m.Dir())
	effect, end := r.begin(n, fmt.Sprint("server ", onFull))
	undo := sync.OnceFunc(func() { require.NoError(r, resizeTmpfs(dir, tmpfsSize)) })
	m.MayEnd()
	defer undo()
	require.NoError(r, fillTmpfs(dir))
	said := func() bool { return strings.Contains(m.Said(), "no space left on device") }
	var wrote int64
	for began := time.Now(); time.Since(began) < patience*r.ttl; {
		wrote += r.crowd(onFull, 500*time.Millisecond, m.Ended)
		if m.Ended() && said() {
			effect("it ended after %d writes by others: no space left on device", wrote)
			break
		}
		if m.Ended() { // by something else
			break
		}
		// Nobody else is writing much now.
		if lag := r.lag(onFull, time.Second); lag == time.Second {
			effect("it does not know after %v what others wrote after %d writes; it said that there is no space: %t", lag, wrote, said())
			break
		}
	}
	undo()
	m.Restart()
	r.ready()
	end()
}

// crowd has others than a server write until done, and returns how often.
func (r *run) crowd(i int, within time.Duration, done func() bool) int64 {
	value := strings.Repeat("x", 128<<10)
	p := r.probe((i + 1) % len(r.cluster.Servers()))
	defer p.close()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var sum atomic.Int64
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for ctx.Err() == nil && !done() {
				if p.put(ctx, fmt.Sprint(probed, w), value) == nil {
					sum.Add(1)
				} else { // nobody leads
					pause(ctx, 20*time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	return sum.Load()
}

// clock is the machine's: two runs must not set it at once.
var clock sync.Mutex

// timeOfDay: the machine's clock is ahead by a minute, then behind by one.
func timeOfDay(r *run, n nemesis) {
	clock.Lock()
	defer clock.Unlock()
	effect, end := r.begin(n, "the machine")
	restore, err := setClock(0)
	require.NoError(r, err)
	defer func() { restore() }()
	for _, off := range []time.Duration{time.Minute, -time.Minute} {
		began := time.Now()
		again, err := setClock(off)
		require.NoError(r, err)
		jumped := time.Now().Round(0).Sub(began.Round(0)) - time.Since(began)
		if d := jumped - off; d.Abs() < time.Second {
			effect("the clock jumped by %v", jumped.Round(time.Millisecond))
		}
		pause(r.Context(), r.ttl+r.ttl/2)
		again()
	}
	end()
}
