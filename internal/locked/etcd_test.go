// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/adaptertest"
	"github.com/quorate/quorate/adapters/etcd"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/internal/servers"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

// TestEtcd is everything that one server can be asked, with mutual TLS and
// authentication. Each part has a user, a role and a prefix of its own.
func TestEtcd(t *testing.T) {
	t.Parallel()
	site := startEtcd(t, 1, servers.Options{})
	for _, part := range []struct {
		name string
		run  func(*testing.T, *etcdSite)
	}{
		{"contract", etcdContract},
		{"role is the least", etcdLeast},
		{"lock", etcdLock},
		{"election", etcdElection},
		{"open without a right", etcdOpenWithout},
		{"work without a right", etcdWorkWithout},
		{"calls without a right", etcdCallsWithout},
		{"leases of others", etcdLeasesOfOthers},
		{"right withdrawn from a holder", etcdHolderWithdrawn},
		{"right withdrawn from waiters", etcdWaitersWithdrawn},
		{"right withdrawn for a moment", etcdWithdrawnBriefly},
		{"password changed", etcdPasswordChanged},
		{"wrong credentials", etcdWrongCredentials},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			part.run(t, site)
		})
	}
}

// etcdSite is an etcd that is locked down.
type etcdSite struct {
	*servers.Etcd
	root  *clientv3.Client
	users atomic.Int64
}

func startEtcd(t *testing.T, members int, o servers.Options) *etcdSite {
	o.TLS = true
	e := servers.StartEtcdWith(t, members, &o)
	require.NoError(t, e.EnableAuth(within(t, patience)))
	return &etcdSite{Etcd: e, root: e.Client(t)}
}

// etcdUser is somebody to whom deploy/etcd/role.sh was given. With a password
// he shows a certificate of somebody else, which must not matter.
type etcdUser struct {
	site                         *etcdSite
	name, role, prefix, password string
}

func (s *etcdSite) user(t testing.TB, password string) *etcdUser {
	t.Helper()
	n := s.users.Add(1)
	u := &etcdUser{s, fmt.Sprint("user-", n), fmt.Sprint("role-", n), fmt.Sprint("app-", n), password}
	giveRole(t, s.Etcd, u.prefix, u.role, u.name, password)
	return u
}

// withdraw takes the role away from the user, and giveBack undoes that.
func (u *etcdUser) withdraw(t testing.TB) {
	t.Helper()
	_, err := u.site.root.UserRevokeRole(within(t, patience), u.name, u.role)
	require.NoError(t, err)
}

func (u *etcdUser) giveBack(t testing.TB) {
	t.Helper()
	_, err := u.site.root.UserGrantRole(within(t, patience), u.name, u.role)
	require.NoError(t, err)
}

// etcdTraffic counts what a client sends, and how often it logs in.
type etcdTraffic struct{ calls, logins, streams atomic.Int64 }

func (c *etcdTraffic) options() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			if strings.HasSuffix(method, "/Authenticate") {
				c.logins.Add(1)
			} else {
				c.calls.Add(1)
			}
			return next(ctx, method, req, reply, cc, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			c.streams.Add(1)
			s, err := next(ctx, desc, cc, method, opts...)
			return etcdStream{s, c}, err
		}),
	}
}

type etcdStream struct {
	grpc.ClientStream
	traffic *etcdTraffic
}

func (s etcdStream) SendMsg(m any) error {
	s.traffic.calls.Add(1)
	return s.ClientStream.SendMsg(m)
}

// config is that of a client of the user.
func (u *etcdUser) config(t testing.TB) (clientv3.Config, *etcdTraffic) {
	traffic, cn := new(etcdTraffic), u.name
	if u.password != "" {
		cn = "somebody-else"
	}
	cfg := clientv3.Config{
		Endpoints: u.site.Endpoints(), TLS: u.site.Authority().ClientTLS(t, cn),
		Logger: zap.NewNop(), DialOptions: traffic.options(),
	}
	if u.password != "" {
		cfg.Username, cfg.Password = u.name, u.password
	}
	return cfg, traffic
}

// store opens a store on a client of its own, as another process would.
func (u *etcdUser) store(t testing.TB) (*etcd.Store, *etcdTraffic) {
	t.Helper()
	cfg, traffic := u.config(t)
	return etcdStore(t, cfg), traffic
}

func etcdStore(t testing.TB, cfg clientv3.Config) *etcd.Store {
	t.Helper()
	client, err := clientv3.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	store, err := etcd.New(client, &etcd.Options{ProbeEvery: 600 * time.Millisecond})
	require.NoError(t, err)
	return store
}

// rootStore is somebody who may do everything.
func (s *etcdSite) rootStore(t testing.TB) *etcd.Store {
	t.Helper()
	store, err := etcd.New(s.root, nil)
	require.NoError(t, err)
	return store
}

func (u *etcdUser) session(t testing.TB, o session.Options) *session.Session {
	t.Helper()
	store, _ := u.store(t)
	return etcdSession(t, store, u.prefix, o)
}

func etcdSession(t testing.TB, store adapters.Store, prefix string, o session.Options) *session.Session {
	t.Helper()
	o.Prefix = prefix
	if o.TTL == 0 {
		o.TTL = long
	}
	s, err := session.Open(within(t, patience), store, &o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func etcdMutex(t testing.TB, s *session.Session, name string, verbatim bool) *mutex.Mutex {
	t.Helper()
	m, err := mutex.New(s, name, &mutex.Options{Verbatim: verbatim})
	require.NoError(t, err)
	return m
}

func etcdOffice(t testing.TB, s *session.Session, name, value string, verbatim bool) *election.Election {
	t.Helper()
	e, err := election.New(s, name, &election.Options{Value: value, Verbatim: verbatim})
	require.NoError(t, err)
	return e
}

// etcdContract runs the contract's suite, whose keys have roots of their own:
// adaptertest-<random>/.
func etcdContract(t *testing.T, site *etcdSite) {
	u := site.user(t, "")
	key := "adaptertest-"
	_, err := site.root.RoleGrantPermission(within(t, patience), u.role, key, clientv3.GetPrefixRangeEnd(key),
		clientv3.PermissionType(clientv3.PermReadWrite))
	require.NoError(t, err)
	var rules atomic.Int64
	t.Run("suite", func(t *testing.T) {
		adaptertest.Run(t, func(t *testing.T) adaptertest.Backend {
			rules.Add(1)
			store, traffic := u.store(t)
			return adaptertest.Backend{Store: store, Calls: func() int { return int(traffic.calls.Load()) }}
		})
	})
	require.Positive(t, rules.Load())
}
