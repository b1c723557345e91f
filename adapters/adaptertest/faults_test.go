// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/memory"
)

// bubble runs a test in virtual time on a faulty store, and on the sound one
// beneath it.
func bubble(t *testing.T, test func(t *testing.T, f *adaptertest.Faults, below *memory.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		below := memory.New(nil)
		test(t, adaptertest.Wrap(below), below)
		require.NoError(t, below.Close())
	})
}

func create(key, value string) adapters.Tx {
	return adapters.Tx{If: []adapters.Cond{adapters.Absent(key)}, Then: []adapters.Op{adapters.Put(key, []byte(value))}}
}

func has(t *testing.T, s adapters.Store, key string) bool {
	t.Helper()
	v, err := s.Read(context.Background(), key)
	require.NoError(t, err)
	return len(v.KVs) == 1
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, errTime)
	t.Cleanup(cancel)
	return ctx
}

var errTime = errors.New("time is up")

func on(method string) func(adaptertest.Call) bool {
	return func(c adaptertest.Call) bool { return c.Method == method }
}

// Without faults the wrapper is a store like the one beneath.
func TestFaultsAddNothing(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T) adaptertest.Backend {
		s := memory.New(nil)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return adaptertest.Backend{Store: adaptertest.Wrap(s)}
	})
}

func TestAppliedLate(t *testing.T) {
	bubble(t, func(t *testing.T, f *adaptertest.Faults, below *memory.Store) {
		f.Inject(on("Commit"), adaptertest.Fault{Before: 3 * time.Second, Late: true, Times: 1})
		start := time.Now()
		_, err := f.Commit(within(t, time.Second), create("k", "late"))
		require.ErrorIs(t, err, adapters.ErrUnknown)
		require.ErrorIs(t, err, errTime)
		require.Equal(t, time.Second, time.Since(start))
		require.False(t, has(t, f, "k"), "a linearizable read says that it is not there")
		f.Wait()
		require.Equal(t, 3*time.Second, time.Since(start))
		require.True(t, has(t, below, "k"), "and then it comes")
		_, err = f.Commit(t.Context(), create("k2", "in time"))
		require.NoError(t, err, "only one call was to be late")
	})
}

func TestDroppedOnTheWay(t *testing.T) {
	bubble(t, func(t *testing.T, f *adaptertest.Faults, below *memory.Store) {
		remove := f.Inject(nil, adaptertest.Fault{Before: 3 * time.Second})
		_, err := f.Commit(within(t, time.Second), create("k", "x"))
		require.ErrorIs(t, err, adapters.ErrUnknown)
		require.ErrorIs(t, err, errTime)
		_, err = f.Read(within(t, time.Second), "k")
		require.ErrorIs(t, err, errTime)
		require.NotErrorIs(t, err, adapters.ErrUnknown)
		time.Sleep(time.Minute)
		require.False(t, has(t, below, "k"))

		start := time.Now()
		_, err = f.Commit(t.Context(), create("k", "x"))
		require.NoError(t, err)
		require.Equal(t, 3*time.Second, time.Since(start))
		remove()
		remove()
		_, err = f.Read(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestAnswerLost(t *testing.T) {
	bubble(t, func(t *testing.T, f *adaptertest.Faults, below *memory.Store) {
		f.Inject(nil, adaptertest.Fault{Lose: true})
		_, err := f.Commit(t.Context(), create("k", "x"))
		require.ErrorIs(t, err, adapters.ErrUnknown)
		require.ErrorIs(t, err, adaptertest.ErrLost)
		require.True(t, has(t, below, "k"))
		_, err = f.Commit(t.Context(), create("k", "x"))
		require.ErrorIs(t, err, adapters.ErrUnknown, "that it was a conflict is what the lost answer said")
		require.NotErrorIs(t, err, adapters.ErrConflict)
		_, err = f.Commit(t.Context(), adapters.Tx{})
		require.ErrorIs(t, err, adapters.ErrInvalid, "it was never sent")

		_, err = f.Grant(t.Context(), time.Second)
		require.ErrorIs(t, err, adaptertest.ErrLost)
		require.NotErrorIs(t, err, adapters.ErrUnknown)
		require.Len(t, below.Leases(), 1)
		_, err = f.Grant(t.Context(), -1)
		require.ErrorIs(t, err, adapters.ErrInvalid)
	})
}

func TestSlowAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, f *adaptertest.Faults, below *memory.Store) {
		f.Inject(on("Commit"), adaptertest.Fault{After: 2 * time.Second})
		start := time.Now()
		_, err := f.Commit(t.Context(), create("a", "x"))
		require.NoError(t, err)
		require.Equal(t, 2*time.Second, time.Since(start))
		_, err = f.Commit(within(t, time.Second), create("b", "x"))
		require.ErrorIs(t, err, adapters.ErrUnknown)
		require.ErrorIs(t, err, errTime)
		require.True(t, has(t, below, "b"))
	})
}

func TestInjectedError(t *testing.T) {
	bubble(t, func(t *testing.T, f *adaptertest.Faults, below *memory.Store) {
		third := func(c adaptertest.Call) bool { return c.Method == "Commit" && c.N == 3 }
		f.Inject(third, adaptertest.Fault{Err: adapters.ErrDenied})
		for i := range 4 {
			_, err := f.Commit(t.Context(), create(fmt.Sprint("k", i), "x"))
			require.Equal(t, i == 2, errors.Is(err, adapters.ErrDenied), "%d: %v", i, err)
			require.Equal(t, i != 2, has(t, below, fmt.Sprint("k", i)))
		}
		f.Inject(func(c adaptertest.Call) bool { return c.Name == "k0" && c.Method == "Watch" }, adaptertest.Fault{Err: adapters.ErrDenied})
		n := 0
		for _, err := range f.Watch(t.Context(), "k0") {
			require.ErrorIs(t, err, adapters.ErrDenied)
			n++
		}
		require.Equal(t, 1, n)
		l, err := f.Grant(t.Context(), time.Second)
		require.NoError(t, err)
		f.Inject(func(c adaptertest.Call) bool { return c.Lease == l.ID }, adaptertest.Fault{Err: adapters.ErrDenied})
		_, err = f.Renew(t.Context(), l.ID)
		require.ErrorIs(t, err, adapters.ErrDenied)
		require.ErrorIs(t, f.Revoke(t.Context(), l.ID), adapters.ErrDenied)
		require.NoError(t, f.ExpireLease(t.Context(), l.ID), "not through the faults")
		require.Empty(t, below.Leases())
	})
}

func TestPartition(t *testing.T) {
	for _, way := range []struct {
		requests, answers, applied bool
	}{{true, false, false}, {false, true, true}, {true, true, false}} {
		t.Run(fmt.Sprintf("requests %v, answers %v", way.requests, way.answers), func(t *testing.T) {
			bubble(t, func(t *testing.T, f *adaptertest.Faults, below *memory.Store) {
				f.Partition(way.requests, way.answers)
				start := time.Now()
				_, err := f.Commit(within(t, time.Second), create("k", "x"))
				require.ErrorIs(t, err, adapters.ErrUnknown)
				require.ErrorIs(t, err, errTime)
				require.Equal(t, time.Second, time.Since(start))
				require.Equal(t, way.applied, has(t, below, "k"))

				// A call that met the cut hangs beyond Heal; the next one gets through.
				time.AfterFunc(time.Second, f.Heal)
				_, err = f.Read(within(t, 5*time.Second), "k")
				require.ErrorIs(t, err, errTime)
				require.NotErrorIs(t, err, adapters.ErrUnknown)
				require.Equal(t, 6*time.Second, time.Since(start))
				require.Equal(t, way.applied, has(t, f, "k"))
			})
		})
	}
}

// A request that left before the cut and arrives after it began is lost too,
// and so is an answer.
func TestPartitionOnTheWay(t *testing.T) {
	bubble(t, func(t *testing.T, f *adaptertest.Faults, below *memory.Store) {
		f.Inject(on("Commit"), adaptertest.Fault{Before: time.Second, Late: true, Times: 1})
		f.Inject(on("Commit"), adaptertest.Fault{After: time.Second, Times: 1})
		time.AfterFunc(time.Second/2, func() { f.Partition(true, true) })
		ctx := within(t, 10*time.Second)
		done := make(chan error, 2)
		go func() {
			_, err := f.Commit(ctx, create("request", "x"))
			done <- err
		}()
		synctest.Wait()
		go func() {
			_, err := f.Commit(ctx, create("answer", "x"))
			done <- err
		}()
		require.ErrorIs(t, <-done, adapters.ErrUnknown)
		require.ErrorIs(t, <-done, adapters.ErrUnknown)
		require.False(t, has(t, below, "request"))
		require.True(t, has(t, below, "answer"))
		f.Wait()
	})
}

func TestWatchThroughPartition(t *testing.T) {
	bubble(t, func(t *testing.T, f *adaptertest.Faults, below *memory.Store) {
		ctx, cancel := context.WithCancelCause(t.Context())
		var shown []string
		done := make(chan error)
		go func() {
			for v, err := range f.Watch(ctx, "k") {
				if err != nil {
					done <- err
					continue
				}
				kv, _ := v.Get("k")
				shown = append(shown, string(kv.Value))
			}
			close(done)
		}()
		write := func(value string) {
			t.Helper()
			synctest.Wait()
			tx := create("k", value)
			if v, _ := below.Read(t.Context(), "k"); len(v.KVs) == 1 {
				tx = adapters.Tx{If: []adapters.Cond{adapters.Unchanged("k", v.KVs[0].Mod)}, Then: []adapters.Op{adapters.PutKeep("k", []byte(value))}}
			}
			_, err := below.Commit(t.Context(), tx)
			require.NoError(t, err)
			synctest.Wait()
		}
		write("1")
		require.Equal(t, []string{"", "1"}, shown)

		f.Partition(false, true)
		write("2")
		write("3")
		time.Sleep(time.Hour)
		require.Equal(t, []string{"", "1"}, shown, "silence while cut off")
		f.Heal()
		synctest.Wait()
		require.Equal(t, []string{"", "1", "3"}, shown, "then the newest state alone")

		f.Partition(true, true)
		synctest.Wait()
		f.Heal()
		write("4")
		require.Equal(t, []string{"", "1", "3", "4"}, shown, "a cut without a change shows nothing")

		f.Partition(true, false)
		write("5")
		cancel(errTime)
		require.ErrorIs(t, <-done, errTime)
		_, more := <-done
		require.False(t, more)
		require.Equal(t, []string{"", "1", "3", "4"}, shown)
	})
}

func TestSlowWatch(t *testing.T) {
	bubble(t, func(t *testing.T, f *adaptertest.Faults, below *memory.Store) {
		f.Inject(on("Watch"), adaptertest.Fault{Before: time.Second, After: 2 * time.Second})
		start := time.Now()
		for _, err := range f.Watch(t.Context(), "k") {
			require.NoError(t, err)
			require.Equal(t, 3*time.Second, time.Since(start))
			break
		}
		f.Partition(true, false)
		for _, err := range f.Watch(within(t, time.Minute), "k") {
			require.ErrorIs(t, err, errTime, "a watch that begins cut off says nothing")
		}
	})
}
