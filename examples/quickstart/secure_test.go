// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// envSecure makes the test binary an etcd with TLS; its directory.
const envSecure = "QUORATE_QUICKSTART_SECURE"

// serveSecure serves until standard input ends. The directory has ca.pem,
// both.pem and both.key, and the address to serve in a file "addr".
func serveSecure(dir string) int {
	addr, err := os.ReadFile(filepath.Join(dir, "addr"))
	if err != nil {
		panic(err)
	}
	c := embed.NewConfig()
	c.Dir = filepath.Join(dir, "data")
	c.ListenClientUrls = []url.URL{{Scheme: "https", Host: string(addr)}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.ListenPeerUrls = nil
	c.ClientTLSInfo = transport.TLSInfo{
		CertFile: filepath.Join(dir, "both.pem"), KeyFile: filepath.Join(dir, "both.key"),
		TrustedCAFile: filepath.Join(dir, "ca.pem"), ClientCertAuth: true,
	}
	c.LogLevel = "fatal"
	c.BcryptCost = 4 // with the race detector a default one takes seconds
	etcd, err := embed.StartEtcd(c)
	if err != nil {
		panic(err)
	}
	<-etcd.Server.ReadyNotify()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	etcd.Close()
	return 0
}

// authority writes a CA, and a certificate that serves both sides.
func authority(t *testing.T, dir, ca, both string) {
	t.Helper()
	write := func(name, kind string, der []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	issue := func(tmpl, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		if signer == nil {
			signer = key
		}
		tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
		require.NoError(t, err)
		return key, der
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey, der := issue(root, root, nil)
	write(ca+".pem", "CERTIFICATE", der)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	key, der := issue(leaf, root, caKey)
	write(both+".pem", "CERTIFICATE", der)
	der, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	write(both+".key", "EC PRIVATE KEY", der)
}

// startSecure starts an etcd with TLS, certificates for clients and users:
// root, demo (may use quickstart-...) and other (may not).
func startSecure(t *testing.T) (dir, endpoint string, root *clientv3.Client) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: starts servers and processes")
	}
	dir = t.TempDir()
	authority(t, dir, "ca", "both")
	authority(t, dir, "wrong", "wrong-both")
	addr := servers.Reserve(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "addr"), []byte(addr), 0o600))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envSecure+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = stdin.Close(); require.NoError(t, cmd.Wait()) })
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan())
	require.Equal(t, "ready", lines.Text())

	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "both.pem"), filepath.Join(dir, "both.key"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(ca))
	endpoint = "https://" + addr
	cfg := clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop(), TLS: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}}
	c, err := clientv3.New(cfg)
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err = c.RoleAdd(ctx, "demos")
	require.NoError(t, err)
	_, err = c.RoleGrantPermission(ctx, "demos", "quickstart-", clientv3.GetPrefixRangeEnd("quickstart-"), clientv3.PermissionType(clientv3.PermReadWrite))
	require.NoError(t, err)
	for user, role := range map[string]string{"root": "root", "demo": "demos", "other": ""} {
		_, err = c.UserAdd(ctx, user, "secret")
		require.NoError(t, err)
		if role != "" {
			_, err = c.UserGrantRole(ctx, user, role)
			require.NoError(t, err)
		}
	}
	_, err = c.AuthEnable(ctx)
	require.NoError(t, err)
	cfg.Username, cfg.Password = "root", "secret"
	root, err = clientv3.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = root.Close() })
	return dir, endpoint, root
}

// TestSecure runs on a cluster as a cautious user has it, by nothing but the
// variables of etcdctl. It has etcd's own timers.
func TestSecure(t *testing.T) {
	t.Parallel()
	dir, endpoint, root := startSecure(t)
	vars := func(user, ca string) map[string]string {
		return map[string]string{
			"ETCDCTL_ENDPOINTS": endpoint, "ETCDCTL_CACERT": filepath.Join(dir, ca+".pem"),
			"ETCDCTL_CERT": filepath.Join(dir, "both.pem"), "ETCDCTL_KEY": filepath.Join(dir, "both.key"),
			"ETCDCTL_USER": user, "ETCDCTL_PASSWORD": "secret",
		}
	}
	t.Run("all of it", func(t *testing.T) {
		s := playAs(t, vars("demo", "ca"), "-ttl", "1s")
		s.ends(40*time.Second, exitOK)
		require.Regexp(t, allGood, s.output())
		waits := strings.Index(s.output(), "a lease lasts 2s here (asked for: 1s), so the places of a dead process stay\n"+
			strings.Repeat(" ", 20)+"taken for up to 3s")
		require.Positive(t, waits)
		require.Less(t, waits, strings.Index(s.output(), " workers "), "said first")
		clean(t, root)
	})
	t.Run("a user without the right", func(t *testing.T) {
		s := playAs(t, vars("other", "ca"))
		s.ends(10*time.Second, exitFailed)
		require.Contains(t, s.output(), `must be allowed to read and write all keys that begin with "quickstart-"`)
	})
	t.Run("a wrong password", func(t *testing.T) {
		env := vars("demo", "ca")
		env["ETCDCTL_PASSWORD"] = "guess"
		s := playAs(t, env)
		s.ends(10*time.Second, exitFailed)
		require.Contains(t, s.output(), endpoint)
		require.Contains(t, s.output(), "invalid user ID or password")
	})
	t.Run("another authority", func(t *testing.T) {
		s := playAs(t, vars("demo", "wrong"))
		s.ends(10*time.Second, exitFailed)
		require.Contains(t, s.output(), endpoint+": tls: failed to verify certificate")
	})
	t.Run("any authority", func(t *testing.T) {
		env := vars("demo", "wrong")
		env["ETCDCTL_INSECURE_SKIP_TLS_VERIFY"] = "true"
		s := playAs(t, env)
		s.sees("leads with token")
		require.NoError(t, s.cmd.Process.Signal(syscall.SIGINT))
		s.ends(5*time.Second, 130)
		clean(t, root)
	})
	t.Run("http where it wants https", func(t *testing.T) {
		s := playAs(t, nil, "-etcd", strings.Replace(endpoint, "https", "http", 1))
		s.ends(10*time.Second, exitFailed)
		require.Contains(t, s.output(), "https where it wants that?")
	})
}
