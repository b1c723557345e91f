// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/adapters/etcd"
	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/session"
)

const envClient = "QUORATE_CHAOS_CLIENT" // makes the binary a client; its orders as JSON

// orders are what a client is told at its start.
type orders struct {
	Proc      string
	Number    int    // of the client
	Dir       string // of the histories
	Backend   string // etcd, consul
	Endpoints []string
	Prefix    string
	TTL       time.Duration
	Seed      uint64
	Resource  string // its address
	Plant     string // a defect to have
}

// A client is a process that uses all primitives at once, on one session, and
// writes down what it asks and is told.
type client struct {
	orders
	log      *history.Writer
	kept     atomic.Int32 // how many keepers have begun
	session  *session.Session
	resource *guarded
}

// A workload is the use of one primitive, until ctx ends.
type workload struct {
	name string
	run  func(ctx context.Context, c *client, rng *rand.Rand)
	// at once, by so many goroutines of each client
	times int
}

// workloads are all there are: a new primitive adds a line here, and a file.
var workloads = []workload{
	{"mutex", useMutex, 2},
	{"do", useDo, 1},
	{"election", useElection, 2},
	{"observers", observe, 1},
	{"keepers", keepOne, 2},
	{"session", useSession, 1},
}

// workloads are those of a client, by what it is to show.
func (o orders) workloads() []workload {
	if of, ok := planted[o.Plant]; ok {
		return of
	}
	return workloads
}

// runClient is the life of a client: it works until its standard input ends,
// and then ends in order.
func runClient(told string) error {
	var o orders
	if err := json.Unmarshal([]byte(told), &o); err != nil {
		return err
	}
	before := goleak.IgnoreCurrent()
	log, err := history.Create(o.Dir, o.Proc)
	if err != nil {
		return err
	}
	log.Tell(history.Event{What: history.Born, Value: fmt.Sprint(os.Getpid())})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if isPeer(o.Plant) {
		return errors.Join(workAsPeer(ctx, o, log), log.Close())
	}
	err = errors.Join(work(ctx, o, log, before), log.Close())
	if o.Plant == plantEnd {
		os.Exit(exitPlanted)
	}
	return err
}

func work(ctx context.Context, o orders, log *history.Writer, before goleak.Option) error {
	store, closeStore, err := openStore(o)
	if err != nil {
		return err
	}
	guard, err := dialResource(o.Resource)
	if err != nil {
		return err
	}
	c := &client{orders: o, log: log, resource: guard}
	store, clock := o.spoil(store)
	// It may be started while no server answers.
	c.session, err = session.Open(ctx, store, &session.Options{
		Prefix: o.Prefix, TTL: o.TTL, Owner: o.Proc, CloseTimeout: 5 * time.Second, Clock: clock,
		Observer: &session.Observer{State: func(s session.StateChange) {
			e := history.Event{What: history.State, Name: s.Session, Value: s.To.String()}
			if s.Cause != nil {
				e.Err = s.Cause.Error()
			}
			log.Tell(e)
		}},
	})
	if err != nil {
		return errors.Join(err, guard.Close(), closeStore())
	}
	c.works(ctx)
	closed := c.session.Close()
	err = errors.Join(guard.Close(), closeStore())
	if leak := goleak.Find(before, goleak.IgnoreAnyFunction("github.com/quorate/quorate/chaos.runClient.func1")); leak != nil {
		log.Tell(history.Event{What: history.Leak, Value: leak.Error()})
	}
	if closed != nil && !errors.Is(closed, adapters.ErrUnknown) {
		err = errors.Join(err, closed)
	}
	log.Tell(history.Event{What: history.End, Err: text(closed)})
	return err
}

// works has all workloads run until ctx ends.
func (c *client) works(ctx context.Context) {
	var wg sync.WaitGroup
	seed := c.Seed
	for _, w := range c.workloads() {
		for range w.times {
			seed++
			rng := rand.New(rand.NewPCG(seed, seed))
			wg.Go(func() { w.run(ctx, c, rng) })
		}
	}
	wg.Wait()
}

// openStore makes the store as a user would, with its own client.
func openStore(o orders) (adapters.Store, func() error, error) {
	switch o.Backend {
	case "etcd":
		cl, err := clientv3.New(clientv3.Config{Endpoints: o.Endpoints, Logger: zap.NewNop()})
		if err != nil {
			return nil, nil, err
		}
		s, err := etcd.New(cl, &etcd.Options{ProbeEvery: o.TTL / 3})
		return s, cl.Close, err
	case "consul":
		var clients []*api.Client
		var idle []func()
		for _, e := range o.Endpoints {
			cfg := api.DefaultConfig()
			cfg.Address = e
			cl, err := api.NewClient(cfg)
			if err != nil {
				return nil, nil, err
			}
			clients, idle = append(clients, cl), append(idle, cfg.Transport.CloseIdleConnections)
		}
		s, err := consul.New(clients[0], &consul.Options{
			MinTTL: 100 * time.Millisecond, Failover: clients[1:], ProbeEvery: o.TTL / 3,
			MaxCalls: 8, MaxPolls: 6, // many clients share one address here
		})
		return s, func() error {
			for _, f := range idle {
				f()
			}
			return nil
		}, err
	}
	return nil, nil, fmt.Errorf("backend %q", o.Backend)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// between draws a time.
func between(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)))
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
