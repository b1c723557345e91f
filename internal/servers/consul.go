// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// ConsulOptions are the settings of [StartConsulWith]. Nil means the defaults.
type ConsulOptions struct {
	// Dev starts one `consul agent -dev`, in a third of a second. Its data are
	// in the memory of the process: a Restart begins with none.
	Dev bool

	// Clients is how many client agents are started beside the servers. They
	// have members' numbers behind those of the servers.
	Clients int

	// SessionTTLMin is the shortest TTL of a session: 100 ms by default, which
	// ends after 200 ms, and Consul's own 10 s if it is negative.
	SessionTTLMin time.Duration

	// RaftMultiplier is 1 by default: an election takes 2 to 3 s. With
	// Consul's own 5 it takes 10 to 14 s.
	RaftMultiplier int

	// CleanupDead lets the leader forget servers that died, as Consul does by
	// default. Their nodes leave the catalog, and all sessions end that were
	// created there. One that starts again is no voter for up to 10 s.
	CleanupDead bool

	// ACL denies what no token allows; see [Consul.Token].
	ACL bool

	// TLS replaces HTTP by HTTPS and asks clients for a certificate of
	// [Consul.Authority]. What agents say to each other stays plain.
	TLS bool

	// LogSegment is how much of its disk a server reserves ahead for its log, in
	// MB: 64, Consul's own, by default.
	LogSegment int

	// Hosts are where the members run, one for each, client agents last; nil is
	// loopback.
	Hosts []Host
}

// Consul is a cluster of Consul agents, each in a process of its own.
type Consul struct {
	*group
	opts      ConsulOptions
	servers   int
	rpc       []string // addresses by which the servers know each other
	host      string   // of all members without one of their own; no other cluster has it
	token     string
	authority *Authority
	certFile  string // of clients
	keyFile   string
}

// StartConsul starts a cluster of servers and waits until it takes a write. At
// the end of the test it kills them and removes their data, and fails the test
// if one of them had ended by itself. With -short it skips the test.
//
// The program is the one that QUORATE_CONSUL names, or `consul` on the PATH,
// or else it is built, which takes minutes, once. Variables of the environment
// that begin with CONSUL_ are unset, because Consul's client heeds them.
func StartConsul(t testing.TB, servers int) *Consul {
	t.Helper()
	return StartConsulWith(t, servers, nil)
}

// StartConsulWith is StartConsul with options.
func StartConsulWith(t testing.TB, servers int, opts *ConsulOptions) *Consul {
	t.Helper()
	usable(t)
	o := ConsulOptions{}
	if opts != nil {
		o = *opts
	}
	if servers < 1 || o.Dev && servers != 1 {
		t.Fatalf("servers: Consul with %d servers, Dev: %t", servers, o.Dev)
	}
	if o.SessionTTLMin == 0 {
		o.SessionTTLMin = 100 * time.Millisecond
	}
	if o.RaftMultiplier == 0 {
		o.RaftMultiplier = 1
	}
	unsetConsul()
	program, err := consulProgram()
	if err != nil {
		t.Fatalf("servers: %v", err)
	}

	base := dataDir(t, servers+o.Clients)
	c := &Consul{group: newGroup(t), opts: o, servers: servers, host: privateHost()}
	if o.ACL {
		c.token = rand.Text() // any string is a token
	}
	if o.TLS {
		c.authority = NewAuthority(t)
		c.certFile, c.keyFile = c.authority.Issue(t, "client")
	}
	for i, a := range c.agents(t, base) {
		if err := a.write(c); err != nil {
			t.Fatalf("servers: settings of member %s: %v", a.name, err)
		}
		m := &Member{
			name: a.name, base: base, dir: a.dir, host: hostOf(t, o.Hosts, i, servers+o.Clients),
			addr: a.http, url: "http://" + a.http,
			command: func() (*exec.Cmd, error) { return exec.Command(program.Path, a.args(o.Dev)...), nil },
			quit:    func(p *process) error { return p.cmd.Process.Signal(syscall.SIGTERM) },
			exit:    1, // that of servers, and of a client agent that found none to tell
		}
		if o.TLS {
			m.url = "https://" + a.http
		}
		c.add(m)
		if a.server {
			c.rpc = append(c.rpc, a.rpc)
		}
	}
	c.start()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := c.Ready(ctx); err != nil {
		t.Fatalf("servers: %s (%s): %v", program.Path, program.From, err)
	}
	return c
}

// agents draws names and addresses of the cluster.
func (c *Consul) agents(t testing.TB, base string) []*agent {
	t.Helper()
	reserved := func() string {
		addr, release, err := reserveBoth(c.host)
		if err != nil {
			t.Fatalf("servers: reserve a port: %v", err)
		}
		t.Cleanup(release)
		return addr
	}
	var all []*agent
	for i := range c.servers + c.opts.Clients {
		a := &agent{server: i < c.servers, base: base, host: c.host}
		a.name = fmt.Sprintf("s%d", i)
		if !a.server {
			a.name = fmt.Sprintf("c%d", i-c.servers)
		}
		a.dir = filepath.Join(base, a.name)
		if h := hostOf(t, c.opts.Hosts, i, c.servers+c.opts.Clients); h != nil {
			a.host, a.dir = h.Addr, cmp.Or(h.Dir, a.dir)
			a.http, a.serf, a.rpc = h.at(8500), h.at(8301), h.at(8300)
		} else {
			a.http, a.serf, a.rpc = reserved(), reserved(), reserved()
		}
		if c.opts.TLS {
			a.certFile, a.keyFile = c.authority.Issue(t, a.name, a.host)
		}
		all = append(all, a)
	}
	for _, a := range all {
		for _, s := range all[:c.servers] {
			a.join = append(a.join, s.serf)
		}
	}
	return all
}

func unsetConsul() {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "CONSUL_") {
			_ = os.Unsetenv(name)
		}
	}
}

// Members returns the servers and then the client agents.
func (c *Consul) Members() []*Member { return c.members }

// Member returns member i, counted from 0.
func (c *Consul) Member(i int) *Member { return c.members[i] }

// Servers returns the servers; their number in the slice is what Leader returns.
func (c *Consul) Servers() []*Member { return c.members[:c.servers] }

// Agents returns the client agents.
func (c *Consul) Agents() []*Member { return c.members[c.servers:] }

// Endpoints returns the client URLs of the servers.
func (c *Consul) Endpoints() []string {
	var eps []string
	for _, m := range c.Servers() {
		eps = append(eps, m.url)
	}
	return eps
}

// Token returns the token that may do everything, or "" without
// [ConsulOptions.ACL].
func (c *Consul) Token() string { return c.token }

// Authority returns who signed the certificates of all members and signs those
// of clients, or nil without [ConsulOptions.TLS].
func (c *Consul) Authority() *Authority { return c.authority }

// Config returns what a client of member i needs. Each has connections of its
// own, which whoever uses it closes: see [Consul.Client].
func (c *Consul) Config(i int) *api.Config {
	cfg := api.DefaultConfig()
	cfg.Address = c.members[i].url
	cfg.Token = c.token
	if c.authority != nil {
		cfg.TLSConfig.CAFile = c.authority.CAFile()
		cfg.TLSConfig.CertFile, cfg.TLSConfig.KeyFile = c.certFile, c.keyFile
	}
	return cfg
}

// Client returns a client of member i, whose idle connections are closed at
// the end of the test. It knows no other member.
func (c *Consul) Client(t testing.TB, i int) *api.Client {
	t.Helper()
	cfg := c.Config(i)
	client, err := api.NewClient(cfg)
	if err != nil {
		t.Fatalf("servers: client: %v", err)
	}
	t.Cleanup(cfg.Transport.CloseIdleConnections)
	return client
}
