// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const help = `quickstart - one leader, one counter, three processes, and what happens when they die

usage: quickstart [-etcd URL,... | -consul URL,...] [-ttl 3s] [-no-fence] [-v]

  -etcd URL,...  run on these servers, http or https, instead of an etcd inside
                 this process. Keys are made and deleted below one random
                 prefix, "quickstart-...". The servers are not touched otherwise.
                 "-etcd inside" overrides ETCDCTL_ENDPOINTS.
  -consul URL,...  run on this Consul, http, https or host:port; several are
                 agents or servers of one datacenter. Keys and one catalog node
                 are made and deleted, all of them named "quickstart-...".
                 "-consul env" takes CONSUL_HTTP_ADDR, or 127.0.0.1:8500.
  -ttl D         ask for leases of this long, 1s to 60s (default 3s, on Consul
                 10s). A server may grant more. A Consul whose session_ttl_min
                 is less than 10s can be asked for less. It ends dead leases
                 after twice that time.
  -no-fence      let the resource accept late writes, to see what tokens are for:
                 the verdict is then FAILED
  -v             show the workers' logs

environment, as for etcdctl:
  ETCDCTL_ENDPOINTS                    when there is no -etcd and no -consul
  ETCDCTL_CACERT, _CERT, _KEY          files for TLS
  ETCDCTL_INSECURE_SKIP_TLS_VERIFY     true: believe any certificate
  ETCDCTL_INSECURE_TRANSPORT           false: TLS for endpoints without http://
  ETCDCTL_USER, _PASSWORD              "name" or "name:password"
  ETCDCTL_AUTH_JWT_TOKEN               instead of a password
  ETCDCTL_DIAL_TIMEOUT                 default 5s

environment, as for consul, with -consul:
  CONSUL_HTTP_TOKEN, _HTTP_TOKEN_FILE, _HTTP_AUTH
  CONSUL_HTTP_SSL                      true: https for host:port
  CONSUL_CACERT, _CAPATH, _CLIENT_CERT, _CLIENT_KEY, _TLS_SERVER_NAME
  CONSUL_HTTP_SSL_VERIFY               false: believe any certificate
  CONSUL_NAMESPACE, _PARTITION         of Consul Enterprise

exit status: 0 all as promised, 1 not so, 2 wrong usage, 130 Ctrl-C
`

// settings say where and how to run.
type settings struct {
	endpoints []string // empty: start an etcd in this process
	spec      clientv3.ConfigSpec
	consul    *consulSpec // nil: etcd
	from      string      // where the endpoints were told
	ttl       time.Duration
	noFence   bool
	verbose   bool
}

// title is what runs there.
func (set settings) title() string {
	if set.consul != nil {
		return "Consul"
	}
	return "etcd"
}

// label stands before lines about it.
func (set settings) label() string { return strings.ToLower(set.title()) }

type lookup func(name string) (string, bool)

// parse reads flags and environment, and says which of them is wrong.
func parse(args []string, env lookup) (settings, error) {
	var set settings
	fs := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	where := fs.String("etcd", "", "")
	whereConsul := fs.String("consul", "", "")
	fs.DurationVar(&set.ttl, "ttl", 3*time.Second, "")
	fs.BoolVar(&set.noFence, "no-fence", false, "")
	fs.BoolVar(&set.verbose, "v", false, "")
	if err := fs.Parse(args); err != nil {
		return set, err
	}
	if fs.NArg() > 0 {
		return set, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if given["etcd"] && given["consul"] {
		return set, errors.New("-etcd and -consul exclude each other")
	}
	if given["consul"] && !given["ttl"] {
		set.ttl = consulTTL
	}
	if set.ttl < time.Second || set.ttl > time.Minute {
		return set, fmt.Errorf("-ttl is %v, want 1s to 60s", set.ttl)
	}
	if given["consul"] {
		return set, set.readConsul(*whereConsul, env)
	}
	set.from = "-etcd"
	if !given["etcd"] {
		set.from = "ETCDCTL_ENDPOINTS"
		*where, _ = env(set.from)
		if *where == "" {
			return set, nil
		}
	} else if *where == "inside" {
		return set, nil
	}
	for ep := range strings.SplitSeq(*where, ",") {
		ep = strings.TrimSpace(ep)
		if err := checkEndpoint(ep); err != nil {
			return set, fmt.Errorf("%s: %q: %w", set.from, ep, err)
		}
		set.endpoints = append(set.endpoints, ep)
	}
	var err error
	set.spec, err = readSpec(set.endpoints, env)
	return set, err
}

// checkEndpoint accepts what etcdctl accepts: URLs and bare host:port.
func checkEndpoint(ep string) error {
	if !strings.Contains(ep, "://") {
		ep = "http://" + ep
	}
	u, err := url.Parse(ep)
	switch {
	case err != nil:
		return errors.Unwrap(err)
	case u.Scheme == "unix" || u.Scheme == "unixs":
		return nil
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme is %q, want http or https", u.Scheme)
	case u.Hostname() == "" || u.Port() == "":
		return errors.New("want host:port or http(s)://host:port")
	case strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "":
		return errors.New("want nothing but scheme, host and port")
	}
	return nil
}

// readSpec reads the variables that etcdctl knows.
func readSpec(endpoints []string, env lookup) (clientv3.ConfigSpec, error) {
	get := func(name string) string {
		v, _ := env("ETCDCTL_" + name)
		return v
	}
	var errs []error
	boolean := func(name string, otherwise bool) bool {
		v := get(name)
		if v == "" {
			return otherwise
		}
		b, err := strconv.ParseBool(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("ETCDCTL_%s: %q: want true or false", name, v))
		}
		return b
	}
	spec := clientv3.ConfigSpec{
		Endpoints:   endpoints,
		DialTimeout: 5 * time.Second,
		Secure: &clientv3.SecureConfig{
			Cacert: get("CACERT"), Cert: get("CERT"), Key: get("KEY"),
			InsecureSkipVerify: boolean("INSECURE_SKIP_TLS_VERIFY", false),
			InsecureTransport:  boolean("INSECURE_TRANSPORT", true),
		},
		Auth: &clientv3.AuthConfig{Password: get("PASSWORD"), Token: get("AUTH_JWT_TOKEN")},
	}
	for _, ep := range endpoints {
		if strings.HasPrefix(ep, "https:") || strings.HasPrefix(ep, "unixs:") {
			spec.Secure.InsecureTransport = false
		}
	}
	user, password, found := strings.Cut(get("USER"), ":")
	switch spec.Auth.Username = user; {
	case found && spec.Auth.Password != "":
		errs = append(errs, errors.New("ETCDCTL_USER has a password, and ETCDCTL_PASSWORD is set too"))
	case found:
		spec.Auth.Password = password
	case user != "" && spec.Auth.Password == "" && spec.Secure.Cert == "":
		errs = append(errs, errors.New("ETCDCTL_USER has no password: set ETCDCTL_PASSWORD"))
	}
	if spec.Auth.Token != "" && user != "" {
		errs = append(errs, errors.New("ETCDCTL_USER and ETCDCTL_AUTH_JWT_TOKEN exclude each other"))
	}
	if v := get("DIAL_TIMEOUT"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			errs = append(errs, fmt.Errorf("ETCDCTL_DIAL_TIMEOUT: %q: want a duration such as 5s", v))
		}
		spec.DialTimeout = d
	}
	if (spec.Secure.Cert == "") != (spec.Secure.Key == "") {
		errs = append(errs, errors.New("ETCDCTL_CERT and ETCDCTL_KEY go together"))
	}
	for name, path := range map[string]string{"CACERT": spec.Secure.Cacert, "CERT": spec.Secure.Cert, "KEY": spec.Secure.Key} {
		if path == "" {
			continue
		}
		if err := readable(path); err != nil {
			errs = append(errs, fmt.Errorf("ETCDCTL_%s: %w", name, err))
		}
	}
	return spec, errors.Join(errs...)
}

// config makes the client's settings just as etcdctl makes them.
func config(spec clientv3.ConfigSpec) (clientv3.Config, error) {
	cfg, err := clientv3.NewClientConfig(&spec, zap.NewNop())
	if err != nil {
		return clientv3.Config{}, fmt.Errorf("TLS files: %w", err)
	}
	cfg.Logger = zap.NewNop() // what matters comes back as errors
	return *cfg, nil
}
