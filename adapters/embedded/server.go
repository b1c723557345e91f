// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/adapters/etcd"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// Server is a running etcd server with a client to it.
type Server struct {
	dir    *dataDir
	addr   string // of clients, without a scheme
	etcd   *embed.Etcd
	rpc    atomic.Pointer[grpc.Server]
	client *clientv3.Client
	store  *etcd.Store

	log      *zap.Logger
	closing  atomic.Bool
	once     sync.Once
	closeErr error
}

const (
	graceRaft = 3 * time.Second  // what a leader gets to pass its place on
	giveUp    = 10 * time.Second // when Close returns although etcd has not ended
)

// Start starts a server and returns when it answers: at once and at the latest
// within about a second on its own, and when a majority has started in a Cluster.
// If ctx ends first, or on any error, nothing of it is left; should etcd itself
// be stuck in its start, that is cleared up as soon as it returns.
func Start(ctx context.Context, opts *Options) (*Server, error) {
	o, err := opts.resolve()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("embedded: start: %w", context.Cause(ctx))
	}
	dir, err := openDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	s.log = zapLogger(o.Logger, &s.closing)
	launched := make(chan error, 1)
	go func() { launched <- s.launch(&o) }()
	select {
	case err = <-launched:
	case <-ctx.Done():
		go func() {
			if <-launched == nil {
				_ = s.shutdown(false)
			} else {
				_ = s.dir.close()
			}
		}()
		return nil, fmt.Errorf("embedded: start: %w", context.Cause(ctx))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded: start: %w", err), dir.close())
	}
	if ready, err := s.await(ctx, &o); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded: start: %w", err), s.shutdown(ready))
	}
	return s, nil
}

// launch starts etcd. A port that the kernel chooses must be known beforehand,
// because etcd advertises the configured address and not the one it got. So it
// is chosen, released and bound again. Another process may come between, but
// then etcd fails to bind, before it has touched the disk or told anybody the
// address, and another port is tried.
func (s *Server) launch(o *Options) error {
	_, port, _ := net.SplitHostPort(o.ClientAddr)
	for try := 1; ; try++ {
		s.addr = o.ClientAddr
		if port == "0" {
			l, err := net.Listen("tcp", o.ClientAddr)
			if err != nil {
				return fmt.Errorf("Options.ClientAddr: %w", err)
			}
			s.addr = l.Addr().String()
			if err := l.Close(); err != nil {
				return err
			}
		}
		cfg := o.config(s.dir.path, s.addr, s.log)
		cfg.ServiceRegister = func(rpc *grpc.Server) { s.rpc.Store(rpc) }
		srv, err := embed.StartEtcd(cfg)
		var bind *net.OpError
		switch {
		case err == nil:
			s.etcd = srv
			s.addr = o.advertised(s.addr)
			return nil
		case !errors.As(err, &bind) || bind.Op != "listen":
			return err
		case o.PeerAddr != "" && samePort(bind.Addr, o.PeerAddr):
			return fmt.Errorf("Options.PeerAddr: %w", err)
		case port != "0" || try == 10:
			return fmt.Errorf("Options.ClientAddr: %w", err)
		}
	}
}

func samePort(a net.Addr, addr string) bool {
	tcp, ok := a.(*net.TCPAddr)
	_, port, _ := net.SplitHostPort(addr)
	return ok && strconv.Itoa(tcp.Port) == port
}

// await waits until the server has joined its cluster and answers a
// linearizable read. It reports whether the first came true.
func (s *Server) await(ctx context.Context, o *Options) (ready bool, err error) {
	select {
	case <-s.etcd.Server.ReadyNotify():
	case <-s.etcd.Server.StopNotify():
		return false, errors.New("etcd stopped")
	case err := <-s.etcd.Err():
		return false, fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	cfg := clientv3.Config{Endpoints: s.Endpoints(), Logger: s.log}
	if len(o.Cluster) > 0 {
		// The other members' addresses come from the cluster itself. A member
		// that hangs without closing its connections is noticed by keepalives.
		cfg.AutoSyncInterval = 10 * time.Second
		cfg.DialKeepAliveTime, cfg.DialKeepAliveTimeout = 10*time.Second, 3*time.Second
	}
	if s.client, err = clientv3.New(cfg); err != nil {
		return true, err
	}
	if s.store, err = etcd.New(s.client, nil); err != nil {
		return true, err
	}
	if len(o.Cluster) > 0 {
		err = s.client.Sync(ctx)
	} else {
		_, err = s.client.Get(ctx, "quorate")
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return true, err
}

// Client returns a client of the server, shared by all callers. Close closes
// it. In a Cluster it knows all members and goes on when this one fails.
func (s *Server) Client() *clientv3.Client { return s.client }

// Store returns the server as a store for sessions and all that hangs on them.
// Use an [etcd.New] of your own on Client for other options.
func (s *Server) Store() *etcd.Store { return s.store }

// Endpoints returns the URL at which clients reach this server.
func (s *Server) Endpoints() []string { return []string{"http://" + s.addr} }

// Dir returns the absolute path of the directory of the data.
func (s *Server) Dir() string { return s.dir.path }

// Close closes the client, stops the server, and removes its directory if that
// was a temporary one. Calls under way, of whatever client, are cut, so their
// outcome is unknown. It may be called by many and more than once; all wait for
// the end and get the same answer. Its error says that data could not be
// removed, or that etcd did not stop in 10 s; then the directory stays taken.
func (s *Server) Close() error {
	s.once.Do(func() {
		if err := s.shutdown(true); err != nil {
			s.closeErr = fmt.Errorf("embedded: close: %w", err)
		}
	})
	return s.closeErr
}

func (s *Server) shutdown(ready bool) error {
	s.closing.Store(true)
	if s.client != nil {
		_ = s.client.Close() // its only error is that its context has ended
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if rpc := s.rpc.Load(); rpc != nil {
			// etcd's Close would wait for calls to end, 6 s or more if one of
			// them is a watch; sometimes it does, and sometimes it cuts them.
			rpc.Stop()
		}
		if !ready {
			// Before it is ready, etcd's Close waits for handlers that wait
			// for it to be ready or stopped.
			s.etcd.Server.HardStop()
		}
		s.etcd.Close()
	}()
	select {
	case <-ended:
		return s.dir.close()
	case <-time.After(graceRaft):
		go s.etcd.Server.HardStop()
	}
	select {
	case <-ended:
		return s.dir.close()
	case <-time.After(giveUp - graceRaft):
		return fmt.Errorf("etcd did not stop within %v", giveUp)
	}
}
