// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// agent is what one agent of a [Consul] is started with, in all its lives.
type agent struct {
	name, dir         string
	base, host        string // the directory of its configuration; its IP address
	server            bool
	http, serf, rpc   string   // addresses, all of the same host
	join              []string // the servers' serf
	certFile, keyFile string   // with TLS
}

// settings are a part of a configuration file.
type settings map[string]any

// settings returns the agent's configuration file. What tests have no use for
// is off: it costs time at the start, and its ports are the same for all agents.
func (a *agent) settings(c *Consul) settings {
	ports := settings{"http": port(a.http), "https": -1, "dns": -1, "grpc": -1, "grpc_tls": -1, "serf_lan": port(a.serf), "serf_wan": -1, "server": port(a.rpc)}
	s := settings{
		"node_name": a.name, "server": a.server, "bind_addr": a.host, "client_addr": a.host,
		"ports": ports, "connect": settings{"enabled": false}, "disable_update_check": true, "log_level": "warn",
		// A member that begins before the others must not wait for long.
		"retry_join": a.join, "retry_interval": "200ms",
	}
	if !c.opts.Dev || !a.server {
		s["data_dir"] = a.dir
	}
	if a.server {
		s["leave_on_terminate"] = false
		s["performance"] = settings{"raft_multiplier": c.opts.RaftMultiplier}
		s["autopilot"] = settings{"cleanup_dead_servers": c.opts.CleanupDead, "server_stabilization_time": "200ms"}
		if c.opts.LogSegment > 0 {
			s["raft_logstore"] = settings{"wal": settings{"segment_size_mb": c.opts.LogSegment}}
		}
		if !c.opts.Dev {
			s["bootstrap_expect"] = c.servers
		}
		if c.opts.SessionTTLMin > 0 {
			s["session_ttl_min"] = c.opts.SessionTTLMin.Round(time.Microsecond).String()
		}
	}
	if c.opts.ACL {
		s["acl"] = settings{"enabled": true, "default_policy": "deny", "tokens": settings{"initial_management": c.token, "agent": c.token}}
	}
	if c.opts.TLS {
		ports["http"], ports["https"] = -1, port(a.http)
		s["tls"] = settings{"https": settings{
			"ca_file": c.authority.CAFile(), "cert_file": a.certFile, "key_file": a.keyFile, "verify_incoming": true,
		}}
	}
	return s
}

// write puts the configuration beside the agent's data.
func (a *agent) write(c *Consul) error {
	text, err := json.MarshalIndent(a.settings(c), "", "\t")
	if err == nil {
		err = os.WriteFile(a.file(), text, 0o600)
	}
	return err
}

func (a *agent) file() string {
	return filepath.Join(a.base, a.name+".json")
}

func (a *agent) args(dev bool) []string {
	args := []string{"agent", "-config-file", a.file()}
	if dev && a.server {
		args = append(args, "-dev")
	}
	return args
}

// port returns the port of an address of ours.
func port(addr string) int { return int(netip.MustParseAddrPort(addr).Port()) }
