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
