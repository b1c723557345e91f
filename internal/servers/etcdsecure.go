// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/adapters/embedded"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
)

// etcdSettings are what a child is told.
type etcdSettings struct {
	embedded.Options
	Secure *secure // nil for what package embedded can do
}

// secure are settings of etcd that package embedded does not offer: who runs
// etcd inside his program has nobody to keep out.
type secure struct {
	CAFile, CertFile, KeyFile string
	AuthToken                 string
	AuthTokenTTL              time.Duration
}

// Authority returns the authority whose certificates the members take and have;
// nil without Options.TLS.
func (e *Etcd) Authority() *Authority { return e.authority }

// EnableAuth enables authentication. Our own clients are those of user root,
// who may do everything, and has no password: it needs Options.TLS.
func (e *Etcd) EnableAuth(ctx context.Context) error {
	c, err := e.newClient(e.Endpoints()...)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err = c.UserAddWithOptions(ctx, "root", "", &clientv3.UserAddOptions{NoPassword: true}); err == nil {
		_, err = c.RoleAdd(ctx, "root")
	}
	if err == nil {
		_, err = c.UserGrantRole(ctx, "root", "root")
	}
	if err == nil {
		_, err = c.AuthEnable(ctx)
	}
	if err != nil {
		return fmt.Errorf("servers: enable authentication: %w", err)
	}
	return nil
}

// secure makes an authority for the cluster and a certificate for its members,
// if o asks for it.
func (e *Etcd) secure(o *Options) *secure {
	e.t.Helper()
	if !o.TLS {
		if o.AuthToken != "" || o.AuthTokenTTL != 0 {
			e.t.Fatal("servers: Options.AuthToken and Options.AuthTokenTTL need Options.TLS")
		}
		return nil
	}
	e.authority = NewAuthority(e.t)
	e.tls = e.authority.ClientTLS(e.t, "root")
	s := &secure{CAFile: e.authority.CAFile(), AuthToken: o.AuthToken, AuthTokenTTL: o.AuthTokenTTL}
	s.CertFile, s.KeyFile = e.authority.Issue(e.t, "member", "127.0.0.1", "localhost")
	return s
}

// start starts the server of a child and waits until it has joined its cluster.
func (s *etcdSettings) start(ctx context.Context) (io.Closer, error) {
	if s.Secure == nil {
		return embedded.Start(ctx, &s.Options)
	}
	c := s.config()
	srv := &secureServer{}
	c.ServiceRegister = func(rpc *grpc.Server) { srv.rpc = rpc }
	var err error
	if srv.etcd, err = embed.StartEtcd(c); err != nil {
		return nil, err
	}
	select {
	case <-srv.etcd.Server.ReadyNotify():
		return srv, nil
	case <-srv.etcd.Server.StopNotify():
		return nil, errors.New("etcd stopped")
	case err := <-srv.etcd.Err():
		return nil, fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
		return nil, context.Cause(ctx) // the process ends
	}
}

// config is what etcd has to be told beside that which it does by default.
func (s *etcdSettings) config() *embed.Config {
	c := embed.NewConfig()
	c.Name, c.Dir = s.Name, s.Dir
	c.TickMs, c.ElectionMs = uint(s.Heartbeat/time.Millisecond), uint(s.Election/time.Millisecond)
	c.ListenClientUrls = []url.URL{{Scheme: "https", Host: s.ClientAddr}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.ClientTLSInfo = transport.TLSInfo{
		CertFile: s.Secure.CertFile, KeyFile: s.Secure.KeyFile,
		TrustedCAFile: s.Secure.CAFile, ClientCertAuth: true,
	}
	if s.Secure.AuthToken != "" {
		c.AuthToken = s.Secure.AuthToken
	}
	// Under the race detector, a hash of etcd's usual cost takes seconds of a
	// processor that the server needs.
	c.BcryptCost = 4 // the least
	if s.Secure.AuthTokenTTL > 0 {
		c.AuthTokenTTL = uint(s.Secure.AuthTokenTTL / time.Second)
	}
	c.EnableGRPCGateway = false // would be a client without a certificate
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(zapcore.NewCore(
		zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(os.Stderr), zap.WarnLevel)))

	c.ListenPeerUrls = nil
	peers := maps.Clone(s.Cluster)
	if len(peers) == 0 { // nobody dials it: the URL is only a name
		peers = map[string]string{s.Name: "http://127.0.0.1:2380"}
	}
	own, err := url.Parse(peers[s.Name])
	if err != nil {
		panic(err) // made by StartEtcdWith
	}
	c.AdvertisePeerUrls = []url.URL{*own}
	if len(s.Cluster) > 0 {
		c.ListenPeerUrls = c.AdvertisePeerUrls
	}
	var members []string
	for _, name := range slices.Sorted(maps.Keys(peers)) {
		members = append(members, name+"="+peers[name])
	}
	c.InitialCluster = strings.Join(members, ",")
	return c
}

type secureServer struct {
	etcd *embed.Etcd
	rpc  *grpc.Server
}

// Close cuts calls off, for whose end etcd would wait, and stops the server.
func (s *secureServer) Close() error {
	s.rpc.Stop()
	s.etcd.Close()
	return nil
}
