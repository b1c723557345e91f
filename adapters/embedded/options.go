// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Options are the settings of a [Server]. Nil means the defaults.
type Options struct {
	// Dir holds the data. It is made if it does not exist, with access for
	// its owner only. Empty means a temporary directory that Close removes:
	// the state is lost, and fencing tokens start again.
	Dir string

	// ClientAddr is the host:port on which clients are served, by default
	// 127.0.0.1:0. Port 0 lets the kernel choose, anew at each start. The host
	// is an IP address or "localhost". There is no authentication and no TLS:
	// whoever reaches an address other than loopback may read and write all.
	ClientAddr string

	// Name is the name of this member, by default "embedded". A member of a
	// Cluster must be given one.
	Name string

	// Cluster makes this server one of several that form one cluster: it maps
	// the name of every member to the http URL at which its peers reach it,
	// such as http://10.0.0.1:2380, and is the same on all of them. It needs a
	// Dir. Once a member has started, what its Dir says counts instead.
	Cluster map[string]string

	// PeerAddr is the host:port on which this member listens for its peers, by
	// default what Cluster[Name] says. It is needed where that names a host
	// and not an IP address. A server on its own has no peer port.
	PeerAddr string

	// Heartbeat and Election are etcd's two raft timers, in whole
	// milliseconds. The defaults are etcd's 100 ms and 1 s in a Cluster, and
	// 50 ms and 700 ms on its own, where an election has no opponents and only
	// costs time at the start. With both, the shortest lease is 2 s: etcd
	// raises a TTL below 1.5 × Election, rounded up to a second, to that.
	Heartbeat, Election time.Duration

	// Logger receives what etcd and its client log: warnings and errors at
	// their own level, everything else, and all that is said after Close has
	// begun, at debug level. Nil means silence.
	Logger *slog.Logger
}

const maxElection = 50 * time.Second // etcd's own limit

// resolve returns a copy with the defaults filled in, or says which field is wrong.
func (o *Options) resolve() (Options, error) {
	var r Options
	if o != nil {
		r = *o
		r.Cluster = maps.Clone(o.Cluster)
	}
	if r.ClientAddr == "" {
		r.ClientAddr = "127.0.0.1:0"
	}
	if err := checkListen(r.ClientAddr); err != nil {
		return r, fmt.Errorf("embedded: Options.ClientAddr: %w", err)
	}
	if err := r.resolveCluster(); err != nil {
		return r, err
	}
	return r, r.resolveTimers()
}

func (o *Options) resolveCluster() error {
	if len(o.Cluster) == 0 {
		if o.PeerAddr != "" {
			return fmt.Errorf("embedded: Options.PeerAddr: %q: a server without a Cluster has no peers", o.PeerAddr)
		}
		if o.Name == "" {
			o.Name = "embedded"
		}
		return checkName("Name", o.Name)
	}
	if o.Dir == "" {
		// A member that forgets its votes can elect two leaders in one term.
		return errors.New("embedded: Options.Dir: empty: a member of a Cluster must keep its data")
	}
	for _, name := range slices.Sorted(maps.Keys(o.Cluster)) {
		if err := checkName("Cluster", name); err != nil {
			return err
		}
		u, err := url.Parse(o.Cluster[name])
		if err != nil {
			return fmt.Errorf("embedded: Options.Cluster[%q]: %w", name, err)
		}
		if u.Scheme != "http" || u.Hostname() == "" || u.Port() == "" || u.Port() == "0" || u.Path != "" || u.User != nil {
			return fmt.Errorf("embedded: Options.Cluster[%q]: %q: want http://host:port with a port other than 0", name, o.Cluster[name])
		}
		if name == o.Name && o.PeerAddr == "" {
			o.PeerAddr = u.Host
		}
	}
	if _, ok := o.Cluster[o.Name]; !ok {
		return fmt.Errorf("embedded: Options.Name: %q is not a name in Options.Cluster", o.Name)
	}
	if err := checkListen(o.PeerAddr); err != nil {
		return fmt.Errorf("embedded: Options.PeerAddr: %w", err)
	}
	return nil
}

func (o *Options) resolveTimers() error {
	alone := len(o.Cluster) == 0
	if o.Election == 0 {
		if o.Election = time.Second; alone {
			o.Election = 700 * time.Millisecond
		}
	}
	if o.Heartbeat == 0 {
		if o.Heartbeat = 100 * time.Millisecond; alone {
			o.Heartbeat = 50 * time.Millisecond
		}
		o.Heartbeat = min(o.Heartbeat, (o.Election / 10).Truncate(time.Millisecond))
	}
	switch {
	case o.Heartbeat < time.Millisecond || o.Heartbeat%time.Millisecond != 0:
		return fmt.Errorf("embedded: Options.Heartbeat: %v: want whole milliseconds, at least 1ms", o.Heartbeat)
	case o.Election%time.Millisecond != 0:
		return fmt.Errorf("embedded: Options.Election: %v: want whole milliseconds", o.Election)
	case o.Election < 5*o.Heartbeat:
		return fmt.Errorf("embedded: Options.Election: %v: want at least 5 times Options.Heartbeat (%v)", o.Election, o.Heartbeat)
	case o.Election > maxElection:
		return fmt.Errorf("embedded: Options.Election: %v: limit %v", o.Election, maxElection)
	}
	return nil
}

// checkName refuses what would break the list "name=url,name=url" that etcd parses.
func checkName(field, name string) error {
	if name == "" || strings.ContainsAny(name, "=,") {
		return fmt.Errorf("embedded: Options.%s: member name %q: want a name without '=' and ','", field, name)
	}
	return nil
}

func checkListen(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if host != "localhost" && net.ParseIP(host) == nil {
		return fmt.Errorf("%q: host must be an IP address or localhost", addr)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q: %w", addr, err)
	}
	return nil
}

// config returns etcd's settings for data in dir and clients at the address
// client, whose port is not 0.
func (o *Options) config(dir, client string, lg *zap.Logger) *embed.Config {
	c := embed.NewConfig()
	c.Name, c.Dir = o.Name, dir
	c.TickMs = uint(o.Heartbeat / time.Millisecond)
	c.ElectionMs = uint(o.Election / time.Millisecond)
	c.ListenClientUrls = []url.URL{{Scheme: "http", Host: client}}
	c.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: o.advertised(client)}}
	// Nobody wants the JSON form of the API, which would cost a connection.
	c.EnableGRPCGateway = false
	// Without compaction the history of every lock ever taken stays, up to
	// etcd's quota of 2 GiB, at which it refuses all writes.
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModeRevision, "10000"
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(lg)

	if len(o.Cluster) == 0 {
		// A member of one dials no peer and none dials it, so it listens for
		// none; the URL is only a name. The token keeps two such servers from
		// having one cluster id.
		c.ListenPeerUrls = nil
		c.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2380"}}
		c.InitialCluster = o.Name + "=http://127.0.0.1:2380"
		c.InitialClusterToken = rand.Text()
		return c
	}
	c.ListenPeerUrls = []url.URL{{Scheme: "http", Host: o.PeerAddr}}
	own, _ := url.Parse(o.Cluster[o.Name]) // parsed by resolve
	c.AdvertisePeerUrls = []url.URL{*own}
	members := make([]string, 0, len(o.Cluster))
	for _, name := range slices.Sorted(maps.Keys(o.Cluster)) {
		members = append(members, name+"="+o.Cluster[name])
	}
	c.InitialCluster = strings.Join(members, ",")
	c.InitialClusterToken = "quorate"
	return c
}

// advertised returns where clients reach a server that listens on addr. One
// that listens everywhere is reached where its peers reach it.
func (o *Options) advertised(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		return addr
	}
	if own, err := url.Parse(o.Cluster[o.Name]); err == nil && own.Hostname() != "" {
		return net.JoinHostPort(own.Hostname(), port)
	}
	return net.JoinHostPort("localhost", port)
}
