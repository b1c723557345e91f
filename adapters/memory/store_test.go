// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/memory"
)

func put(key string, id adapters.LeaseID) adapters.Tx {
	op := adapters.Put(key, []byte("x"))
	if id != "" {
		op = adapters.PutLeased(key, []byte("x"), id)
	}
	return adapters.Tx{If: []adapters.Cond{adapters.Absent(key)}, Then: []adapters.Op{op}}
}

func keys(t *testing.T, s *memory.Store, name string) int {
	t.Helper()
	v, err := s.Read(t.Context(), name)
	require.NoError(t, err)
	return len(v.KVs)
}

func TestRevisions(t *testing.T) {
	s := memory.New(nil)
	rev := func() adapters.Rev {
		v, err := s.Read(t.Context(), "any")
		require.NoError(t, err)
		return v.Rev
	}
	require.EqualValues(t, 1, rev())
	l, err := s.Grant(t.Context(), time.Hour)
	require.NoError(t, err)
	require.EqualValues(t, 1, rev(), "a lease is no write")
	for i := range 3 {
		res, err := s.Commit(t.Context(), put(fmt.Sprint("d/", i), l.ID))
		require.NoError(t, err)
		require.EqualValues(t, i+2, res.Rev)
	}
	res, err := s.Commit(t.Context(), adapters.Tx{Then: []adapters.Op{adapters.Delete("none")}})
	require.NoError(t, err)
	require.EqualValues(t, 4, res.Rev)
	require.EqualValues(t, 4, rev(), "nothing was written")
	require.True(t, s.Expire(l.ID))
	require.EqualValues(t, 5, rev(), "three keys went in one step")
	require.False(t, s.Expire(l.ID))
	require.EqualValues(t, 5, rev())

	res, err = memory.New(&memory.Options{Rev: 100}).Commit(t.Context(), put("k", ""))
	require.NoError(t, err)
	require.EqualValues(t, 101, res.Rev)
}

// A lease ends to the nanosecond, and nothing is left running: otherwise the
// bubble would not end.
func TestVirtualTime(t *testing.T) {
	for _, factor := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			limits := memory.DefaultLimits()
			limits.ExpiryFactor, limits.ExpiryLag = factor, time.Duration(factor-1)*time.Second
			s := memory.New(&memory.Options{Limits: &limits})
			l, err := s.Grant(t.Context(), 10*time.Second)
			require.NoError(t, err)
			_, err = s.Commit(t.Context(), put("k", l.ID))
			require.NoError(t, err)
			for range 1000 {
				time.Sleep(9 * time.Second)
				_, err = s.Renew(t.Context(), l.ID)
				require.NoError(t, err)
			}
			renewed := time.Now()
			for v, err := range s.Watch(t.Context(), "k") {
				require.NoError(t, err)
				if len(v.KVs) == 0 {
					break
				}
			}
			require.Equal(t, limits.Latest(10*time.Second), time.Since(renewed))
			require.Empty(t, s.Leases())
		})
	}
}

func TestSkip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		start := time.Now()
		var ids []adapters.LeaseID
		for i, ttl := range []time.Duration{30, 10, 20} {
			l, err := s.Grant(t.Context(), ttl*time.Second)
			require.NoError(t, err)
			_, err = s.Commit(t.Context(), put(fmt.Sprint("k", i), l.ID))
			require.NoError(t, err)
			ids = append(ids, l.ID)
		}
		require.Equal(t, ids, s.Leases())
		s.Skip(9 * time.Second)
		require.Equal(t, ids, s.Leases())
		s.Skip(11 * time.Second)
		require.Equal(t, ids[:1], s.Leases(), "the leases of 10 s and of 20 s ended at once")
		require.Equal(t, 1, keys(t, s, "k0"))
		require.Zero(t, keys(t, s, "k1")+keys(t, s, "k2"))

		_, err := s.Renew(t.Context(), ids[1])
		require.ErrorIs(t, err, adapters.ErrLeaseLost)
		time.Sleep(10*time.Second - 1)
		require.Equal(t, 1, keys(t, s, "k0"))
		time.Sleep(1)
		synctest.Wait()
		require.Zero(t, keys(t, s, "k0"), "30 s, of which 20 were skipped")
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestSkipThenRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		l, err := s.Grant(t.Context(), 10*time.Second)
		require.NoError(t, err)
		s.Skip(9 * time.Second)
		_, err = s.Renew(t.Context(), l.ID)
		require.NoError(t, err)
		time.Sleep(10*time.Second - 1)
		synctest.Wait()
		require.Len(t, s.Leases(), 1, "a renewal counts in full after a skip")
		time.Sleep(1)
		synctest.Wait()
		require.Empty(t, s.Leases())
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		l, err := s.Grant(t.Context(), time.Hour)
		require.NoError(t, err)
		ended := make(chan error)
		go func() {
			var last error
			for _, last = range s.Watch(context.Background(), "k") {
			}
			ended <- last
		}()
		synctest.Wait()
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-ended, memory.ErrClosed)

		_, err = s.Read(t.Context(), "k")
		require.ErrorIs(t, err, memory.ErrClosed)
		_, err = s.Commit(t.Context(), put("k", ""))
		require.ErrorIs(t, err, memory.ErrClosed)
		_, err = s.Grant(t.Context(), time.Second)
		require.ErrorIs(t, err, memory.ErrClosed)
		_, err = s.Renew(t.Context(), l.ID)
		require.ErrorIs(t, err, memory.ErrClosed)
		require.ErrorIs(t, s.Revoke(t.Context(), l.ID), memory.ErrClosed)
		for _, err := range s.Watch(t.Context(), "k") {
			require.ErrorIs(t, err, memory.ErrClosed)
		}
		require.False(t, s.Expire(l.ID))
		s.Skip(2 * time.Hour)
		time.Sleep(2 * time.Hour)
		require.Len(t, s.Leases(), 1, "leases freeze")
	})
}

func TestGrantLimits(t *testing.T) {
	limits := memory.DefaultLimits()
	limits.MinTTL, limits.MaxTTL = 2*time.Second, 4*time.Second
	s := memory.New(&memory.Options{Limits: &limits})
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.Equal(t, limits, s.Limits())
	for ask, want := range map[time.Duration]time.Duration{1: 2 * time.Second, 3*time.Second + 1: 3*time.Second + 1, 4 * time.Second: 4 * time.Second} {
		l, err := s.Grant(t.Context(), ask)
		require.NoError(t, err)
		require.Equal(t, want, l.TTL)
	}
	for _, ttl := range []time.Duration{-1, 0, 4*time.Second + 1} {
		_, err := s.Grant(t.Context(), ttl)
		require.ErrorIs(t, err, adapters.ErrInvalid)
		require.ErrorContains(t, err, "MaxTTL 4s")
	}
}
