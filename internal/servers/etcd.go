// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/adapters/embedded"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Options are the settings of [StartEtcdWith]. Nil means the defaults.
type Options struct {
	// Heartbeat and Election are 10 ms and 100 ms by default, which allows
	// leases of 1 s. With etcd's own 100 ms and 1 s the shortest is 2 s.
	Heartbeat, Election time.Duration

	// TLS makes the members demand a certificate of [Etcd.Authority] from their
	// clients. Once authentication is enabled, its common name is the user; that
	// of the clients that this package makes is root. Among each other, members
	// speak plainly.
	TLS bool

	// AuthToken and AuthTokenTTL are etcd's --auth-token and --auth-token-ttl, of
	// whole seconds. They need TLS.
	AuthToken    string
	AuthTokenTTL time.Duration

	// Hosts are where the members run, one for each; nil is loopback.
	Hosts []Host
}

// Etcd is a cluster of etcd servers, each in a process of its own.
type Etcd struct {
	*group
	authority *Authority
	tls       *tls.Config // of our own clients; nil without TLS
}

// StartEtcd starts a cluster of members servers and waits until it takes a
// write. At the end of the test it kills them and removes their data, and
// fails the test if one of them had ended by itself. With -short it skips the test.
func StartEtcd(t testing.TB, members int) *Etcd {
	t.Helper()
	return StartEtcdWith(t, members, nil)
}

// StartEtcdWith is StartEtcd with options.
func StartEtcdWith(t testing.TB, members int, opts *Options) *Etcd {
	t.Helper()
	usable(t)
	o := Options{Heartbeat: 10 * time.Millisecond, Election: 100 * time.Millisecond}
	if opts != nil {
		heartbeat, election := o.Heartbeat, o.Election
		o = *opts
		o.Heartbeat, o.Election = cmp.Or(o.Heartbeat, heartbeat), cmp.Or(o.Election, election)
	}

	base := dataDir(t, members)
	e := &Etcd{group: newGroup(t)}
	scheme, locks := "http://", e.secure(&o)
	if locks != nil {
		scheme = "https://"
	}
	cluster := make(map[string]string, members)
	for i := range members {
		name := fmt.Sprintf("m%d", i)
		dir, client, peer := filepath.Join(base, name), "", ""
		host := hostOf(t, o.Hosts, i, members)
		if host != nil {
			dir, client, peer = cmp.Or(host.Dir, dir), host.at(2379), host.at(2380)
		} else {
			client, peer = Reserve(t), Reserve(t)
		}
		if members > 1 {
			cluster[name] = "http://" + peer
		}
		set := etcdSettings{Secure: locks, Options: embedded.Options{
			Name: name, Dir: dir, ClientAddr: client,
			Cluster: cluster, Heartbeat: o.Heartbeat, Election: o.Election,
		}}
		e.add(&Member{
			name: name, base: base, dir: dir, host: host, addr: client, url: scheme + client,
			command: func() (*exec.Cmd, error) { return serverCommand(set) },
			quit:    func(p *process) error { return p.stdin.Close() },
		})
	}
	e.start()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := e.Ready(ctx); err != nil {
		t.Fatalf("servers: %v", err)
	}
	return e
}

// Reserve returns a free loopback address that stays reserved for whoever
// binds it by its number, until the test ends.
func Reserve(t testing.TB) string {
	t.Helper()
	addr, release, err := reserve()
	if err != nil {
		t.Fatalf("servers: reserve a port: %v", err)
	}
	t.Cleanup(release)
	return addr
}

// serverCommand returns the command of one life of a member: the test binary
// once more, which Main turns into a server.
func serverCommand(set etcdSettings) (*exec.Cmd, error) {
	told, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envServer+"="+string(told))
	return cmd, nil
}

// Members returns the members; their number in the slice is what Leader returns.
func (e *Etcd) Members() []*Member { return e.members }

// Member returns member i, counted from 0.
func (e *Etcd) Member(i int) *Member { return e.members[i] }

// Endpoints returns the client URLs of all members.
func (e *Etcd) Endpoints() []string {
	eps := make([]string, len(e.members))
	for i, m := range e.members {
		eps[i] = m.Endpoint()
	}
	return eps
}

// Client returns a client that knows all members, logs nothing and is closed
// at the end of the test.
func (e *Etcd) Client(t testing.TB) *clientv3.Client {
	t.Helper()
	c, err := e.newClient(e.Endpoints()...)
	if err != nil {
		t.Fatalf("servers: client: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (e *Etcd) newClient(endpoints ...string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: e.tls, Logger: zap.NewNop()})
}

// Ready waits until every member that runs takes a write and answers it
// itself. A frozen member never does.
func (e *Etcd) Ready(ctx context.Context) error {
	for _, m := range e.members {
		if err := e.ready(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (e *Etcd) ready(ctx context.Context, m *Member) error {
	m.mu.Lock()
	p := m.proc
	m.mu.Unlock()
	if p.dead() {
		return m.failure()
	}
	// grpc would wait for a second after the first connection refused.
	for !p.dead() {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.addr)
		if err == nil {
			_ = conn.Close()
			break
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("member %s is not ready: %w; %s", m.name, err, p.tail())
		}
	}
	c, err := e.newClient(m.Endpoint())
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		// A put of its own for every try: one that is under way when a member
		// dies would wait for the whole of ctx.
		try, done := context.WithTimeout(ctx, time.Second)
		stop := p.onEnd(done)
		_, err := c.Put(try, "quorate-servers", m.name)
		stop()
		done()
		if err == nil || p.dead() {
			return m.failure()
		}
		if cause := pause(ctx); cause != nil {
			return fmt.Errorf("member %s is not ready: %w (%w); %s", m.name, cause, err, p.tail())
		}
	}
}

// Leader returns the number of the member that leads, and waits for one.
func (e *Etcd) Leader(ctx context.Context) (int, error) {
	for patience := 50 * time.Millisecond; ; patience = min(2*patience, time.Second) {
		if i, ok := e.leader(ctx, patience); ok {
			return i, nil
		}
		if err := pause(ctx); err != nil {
			return -1, fmt.Errorf("servers: no leader: %w", err)
		}
	}
}

// leader asks all members at once, and believes one that says that it leads
// when a majority says the same: one that woke up from a freeze may be wrong.
// One that is dead or frozen costs all of the patience while there is no leader.
func (e *Etcd) leader(ctx context.Context, patience time.Duration) (int, bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := e.newClient(e.Endpoints()...)
	if err != nil {
		return -1, false
	}
	defer c.Close()
	type answer struct {
		i  int
		st *clientv3.StatusResponse
	}
	type claim struct{ leader, term uint64 }
	answers := make(chan answer, len(e.members))
	for i, m := range e.members {
		go func() {
			st, err := c.Status(ctx, m.Endpoint())
			if err != nil {
				st = nil
			}
			answers <- answer{i, st}
		}()
	}
	votes, at := make(map[claim]int), make(map[uint64]int)
	for range e.members {
		a := <-answers
		if a.st == nil {
			continue
		}
		votes[claim{a.st.Leader, a.st.RaftTerm}]++
		at[a.st.Header.MemberId] = a.i
		for c, n := range votes {
			if i, ok := at[c.leader]; ok && n > len(e.members)/2 {
				return i, true
			}
		}
	}
	return -1, false
}

// Compact drops the history up to now on all members and returns its revision.
func (e *Etcd) Compact(ctx context.Context) (int64, error) {
	c, err := e.newClient(e.Endpoints()...)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	now, err := c.Get(ctx, "quorate-servers")
	if err == nil {
		_, err = c.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
	}
	if err != nil {
		return 0, fmt.Errorf("servers: compact: %w", err)
	}
	return now.Header.Revision, nil
}
