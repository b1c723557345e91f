// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority is a certificate authority that exists for one test. Its methods
// may be called from any goroutine.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
	pool *x509.CertPool
}

// NewAuthority makes an authority with a key of its own, which no other
// authority trusts.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("servers: authority: %v", err)
	}
	template := certificate("quorate-servers")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatalf("servers: authority: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("servers: authority: %v", err)
	}
	a := &Authority{cert: cert, key: key, file: filepath.Join(t.TempDir(), "ca.crt"), pool: x509.NewCertPool()}
	a.pool.AddCert(cert)
	if err := writePEM(a.file, "CERTIFICATE", der); err != nil {
		t.Fatalf("servers: authority: %v", err)
	}
	return a
}

// CAFile returns the file with the authority's own certificate, in PEM.
func (a *Authority) CAFile() string { return a.file }

// Pool returns a pool with the authority's own certificate alone.
func (a *Authority) Pool() *x509.CertPool { return a.pool.Clone() }

// Issue writes a certificate and its key, in PEM, and returns the files. The
// common name is name; it is good for servers at the hosts, which are IP
// addresses or DNS names, and for clients.
func (a *Authority) Issue(t testing.TB, name string, hosts ...string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("servers: issue for %q: %v", name, err)
	}
	template := certificate(name)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatalf("servers: issue for %q: %v", name, err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("servers: issue for %q: %v", name, err)
	}
	dir := t.TempDir() // another one for each call
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if err := writePEM(certFile, "CERTIFICATE", cert); err != nil {
		t.Fatalf("servers: issue for %q: %v", name, err)
	}
	if err := writePEM(keyFile, "PRIVATE KEY", private); err != nil {
		t.Fatalf("servers: issue for %q: %v", name, err)
	}
	return certFile, keyFile
}

// ClientTLS returns the configuration of a client that trusts the authority
// alone and shows a certificate with the common name name.
func (a *Authority) ClientTLS(t testing.TB, name string) *tls.Config {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(a.Issue(t, name))
	if err != nil {
		t.Fatalf("servers: client of %q: %v", name, err)
	}
	return &tls.Config{RootCAs: a.Pool(), Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
}

// certificate returns what all certificates here have in common. They are
// valid from an hour ago, because clocks may be set back during a test.
func certificate(name string) *x509.Certificate {
	return &x509.Certificate{ // CreateCertificate makes up the serial number
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  time.Now().Add(24 * time.Hour),
	}
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
