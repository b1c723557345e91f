// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func environment(vars map[string]string) lookup {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

func TestParse(t *testing.T) {
	pem := filepath.Join(t.TempDir(), "a.pem")
	require.NoError(t, os.WriteFile(pem, nil, 0o600))

	set, err := parse(nil, environment(nil))
	require.NoError(t, err)
	require.Empty(t, set.endpoints)
	require.Equal(t, 3*time.Second, set.ttl)

	set, err = parse([]string{"-ttl", "5s"}, environment(map[string]string{
		"ETCDCTL_ENDPOINTS": "https://a:1, b:2", "ETCDCTL_CACERT": pem, "ETCDCTL_CERT": pem, "ETCDCTL_KEY": pem,
		"ETCDCTL_USER": "me:pass:word", "ETCDCTL_INSECURE_SKIP_TLS_VERIFY": "true", "ETCDCTL_DIAL_TIMEOUT": "7s",
	}))
	require.NoError(t, err)
	require.Equal(t, []string{"https://a:1", "b:2"}, set.endpoints)
	require.Equal(t, "ETCDCTL_ENDPOINTS", set.from)
	require.Equal(t, 5*time.Second, set.ttl)
	require.Equal(t, 7*time.Second, set.spec.DialTimeout)
	require.Equal(t, "me", set.spec.Auth.Username)
	require.Equal(t, "pass:word", set.spec.Auth.Password)
	require.Equal(t, []string{pem, pem, pem}, []string{set.spec.Secure.Cacert, set.spec.Secure.Cert, set.spec.Secure.Key})
	require.True(t, set.spec.Secure.InsecureSkipVerify)
	require.False(t, set.spec.Secure.InsecureTransport)

	env := environment(map[string]string{"ETCDCTL_ENDPOINTS": "http://a:1", "ETCDCTL_USER": "me", "ETCDCTL_PASSWORD": "p"})
	set, err = parse([]string{"-etcd", "http://c:3"}, env)
	require.NoError(t, err)
	require.Equal(t, []string{"http://c:3"}, set.endpoints)
	require.Equal(t, "-etcd", set.from)
	require.Equal(t, "p", set.spec.Auth.Password)
	require.True(t, set.spec.Secure.InsecureTransport)
	set, err = parse([]string{"-etcd", "inside"}, env)
	require.NoError(t, err)
	require.Empty(t, set.endpoints)

	_, err = parse([]string{"-h"}, env)
	require.ErrorIs(t, err, flag.ErrHelp)
}

func TestParseConsul(t *testing.T) {
	env := environment(map[string]string{"ETCDCTL_ENDPOINTS": "http://a:1", "CONSUL_HTTP_ADDR": "https://b.example/consul", "CONSUL_HTTP_SSL_VERIFY": "0"})
	set, err := parse([]string{"-consul", "http://c:1, d:2"}, env)
	require.NoError(t, err)
	require.Equal(t, &consulSpec{Addresses: []string{"http://c:1", "d:2"}, MinTTL: 10 * time.Second}, set.consul)
	require.Equal(t, set.consul.Addresses, set.endpoints)
	require.Equal(t, "-consul", set.from)
	require.Equal(t, 10*time.Second, set.ttl, "what a Consul grants that was told nothing else")

	set, err = parse([]string{"-consul", "env", "-ttl", "2s"}, env)
	require.NoError(t, err)
	require.Equal(t, &consulSpec{Addresses: []string{"https://b.example/consul"}, MinTTL: 2 * time.Second}, set.consul)
	require.Equal(t, "CONSUL_HTTP_ADDR", set.from)
	require.Equal(t, 2*time.Second, set.ttl)

	set, err = parse([]string{"-consul", "env", "-ttl", "20s"}, environment(nil))
	require.NoError(t, err)
	require.Equal(t, &consulSpec{Addresses: []string{"127.0.0.1:8500"}, MinTTL: 10 * time.Second}, set.consul)

	set, err = parse([]string{"-consul", "unix:///run/consul.sock"}, environment(nil))
	require.NoError(t, err)
	require.Equal(t, []string{"unix:///run/consul.sock"}, set.consul.Addresses)

	set, err = parse(nil, environment(map[string]string{"CONSUL_HTTP_ADDR": "a:1", "CONSUL_HTTP_SSL": "nonsense"}))
	require.NoError(t, err)
	require.Nil(t, set.consul, "only -consul asks for Consul")
	require.Equal(t, 3*time.Second, set.ttl)
}

func TestParseRefuses(t *testing.T) {
	at := []string{"-etcd", "http://a:1"}
	for _, c := range []struct {
		args []string
		vars map[string]string
		want string
	}{
		{[]string{"-bad"}, nil, "-bad"},
		{[]string{"more"}, nil, `unexpected argument "more"`},
		{[]string{"-ttl", "999ms"}, nil, "-ttl is 999ms"},
		{[]string{"-ttl", "61s"}, nil, "want 1s to 60s"},
		{[]string{"-etcd", ""}, nil, "-etcd"},
		{[]string{"-etcd", "http://a:1,"}, nil, "host:port"},
		{[]string{"-etcd", "ftp://a:1"}, nil, "want http or https"},
		{[]string{"-etcd", "http://a:1/path"}, nil, "nothing but"},
		{[]string{"-etcd", "http://me:x@a:1"}, nil, "nothing but"},
		{[]string{"-etcd", "http://a"}, nil, "host:port"},
		{[]string{"-consul", "a:1", "-etcd", "inside"}, nil, "-etcd and -consul exclude each other"},
		{[]string{"-consul", ""}, nil, `-consul: ""`},
		{[]string{"-consul", "a"}, nil, "host:port"},
		{[]string{"-consul", "a:1,"}, nil, "host:port"},
		{[]string{"-consul", "ftp://a:1"}, nil, "want http or https"},
		{[]string{"-consul", "http://me:x@a:1"}, nil, "nothing but"},
		{[]string{"-consul", "a:1", "-ttl", "61s"}, nil, "want 1s to 60s"},
		{[]string{"-consul", "env"}, map[string]string{"CONSUL_HTTP_ADDR": "a"}, `CONSUL_HTTP_ADDR: "a"`},
		{[]string{"-consul", "a:1"}, map[string]string{"CONSUL_HTTP_SSL": "perhaps"}, `CONSUL_HTTP_SSL: "perhaps": want true or false`},
		{[]string{"-consul", "a:1"}, map[string]string{"CONSUL_CACERT": "/nowhere/ca.pem"}, "CONSUL_CACERT: open /nowhere/ca.pem"},
		{[]string{"-consul", "a:1"}, map[string]string{"CONSUL_HTTP_TOKEN_FILE": "/nowhere/token"}, "CONSUL_HTTP_TOKEN_FILE"},
		{[]string{"-consul", "a:1"}, map[string]string{"CONSUL_CLIENT_CERT": "/dev/null"}, "CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY go together"},
		{nil, map[string]string{"ETCDCTL_ENDPOINTS": "a"}, "ETCDCTL_ENDPOINTS: \"a\""},
		{at, map[string]string{"ETCDCTL_CACERT": "/nowhere/ca.pem"}, "ETCDCTL_CACERT"},
		{at, map[string]string{"ETCDCTL_CERT": "/dev/null"}, "ETCDCTL_CERT and ETCDCTL_KEY go together"},
		{at, map[string]string{"ETCDCTL_USER": "me"}, "ETCDCTL_PASSWORD"},
		{at, map[string]string{"ETCDCTL_USER": "me:a", "ETCDCTL_PASSWORD": "b"}, "ETCDCTL_PASSWORD"},
		{at, map[string]string{"ETCDCTL_USER": "me:a", "ETCDCTL_AUTH_JWT_TOKEN": "b"}, "exclude"},
		{at, map[string]string{"ETCDCTL_INSECURE_SKIP_TLS_VERIFY": "perhaps"}, "want true or false"},
		{at, map[string]string{"ETCDCTL_DIAL_TIMEOUT": "5"}, "ETCDCTL_DIAL_TIMEOUT"},
	} {
		_, err := parse(c.args, environment(c.vars))
		require.ErrorContains(t, err, c.want, "%q %v", c.args, c.vars)
	}
}
