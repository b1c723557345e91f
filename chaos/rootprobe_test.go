// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/servers"
)

// A probe asks one server alone, from outside of all links.
type probe struct {
	put func(ctx context.Context, key, value string) error
	// get returns what this server knows by itself, which may be old.
	get   func(ctx context.Context, key string) (string, error)
	close func()
}

const probed = "quorate-probe"

func (r *run) probe(i int) probe {
	r.Helper()
	if c, ok := r.cluster.(*servers.Consul); ok {
		cfg := c.Config(i)
		cl, err := api.NewClient(cfg)
		require.NoError(r, err)
		return probe{
			put: func(ctx context.Context, key, value string) error {
				_, err := cl.KV().Put(&api.KVPair{Key: key, Value: []byte(value)}, (&api.WriteOptions{}).WithContext(ctx))
				return err
			},
			get: func(ctx context.Context, key string) (string, error) {
				pair, _, err := cl.KV().Get(key, (&api.QueryOptions{AllowStale: true}).WithContext(ctx))
				if pair == nil {
					return "", err
				}
				return string(pair.Value), err
			},
			close: cfg.Transport.CloseIdleConnections,
		}
	}
	cl, err := clientv3.New(clientv3.Config{Endpoints: []string{r.cluster.Servers()[i].Endpoint()}, Logger: zap.NewNop()})
	require.NoError(r, err)
	return probe{
		put: func(ctx context.Context, key, value string) error {
			_, err := cl.Put(ctx, key, value)
			return err
		},
		get: func(ctx context.Context, key string) (string, error) {
			got, err := cl.Get(ctx, key, clientv3.WithSerializable())
			if err != nil || len(got.Kvs) == 0 {
				return "", err
			}
			return string(got.Kvs[0].Value), nil
		},
		close: func() { _ = cl.Close() },
	}
}

// refuses returns why a server takes no write, if that takes no longer; nil if
// it does.
func (r *run) refuses(i int, within time.Duration) error {
	p := r.probe(i)
	defer p.close()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return p.put(ctx, probed, "a write")
}

// lag returns how long it takes from a write at another server until this one
// knows of it, and at most limit.
func (r *run) lag(i int, limit time.Duration) time.Duration {
	r.Helper()
	there, here := r.probe((i+1)%len(r.cluster.Servers())), r.probe(i)
	defer there.close()
	defer here.close()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	value := fmt.Sprint(began.UnixNano())
	for wrote := false; ctx.Err() == nil; pause(ctx, 2*time.Millisecond) {
		if !wrote {
			wrote = there.put(ctx, probed, value) == nil
			continue
		}
		if v, err := here.get(ctx, probed); err == nil && v == value {
			return time.Since(began)
		}
	}
	return limit
}

// another waits until another server leads, and returns -1 if none does in time.
func (r *run) another(than int, within time.Duration) int {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for ctx.Err() == nil {
		if i, err := r.cluster.Leader(ctx); err == nil && i != than {
			return i
		}
		pause(ctx, 20*time.Millisecond)
	}
	return -1
}

// leads says for an effect who leads instead of who did, if anybody does.
func (r *run) leads(instead int, within time.Duration) string {
	if i := r.another(instead, within); i >= 0 {
		return fmt.Sprintf("; server %d leads", i)
	}
	return ""
}

func (r *run) ready() {
	r.Helper()
	require.NoError(r, r.cluster.Ready(r.within(time.Minute)))
}
