// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package servers_test

import (
	"crypto/tls"
	"testing"

	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
)

func TestAuthority(t *testing.T) {
	a, b := servers.NewAuthority(t), servers.NewAuthority(t)
	cert, err := tls.LoadX509KeyPair(a.Issue(t, "server", "127.0.0.1", "localhost"))
	require.NoError(t, err)
	server := &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: a.Pool(), ClientAuth: tls.RequireAndVerifyClientCert,
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	require.NoError(t, err)
	defer l.Close()
	// shake returns the name that the server saw, and how each side ended.
	shake := func(host string, client *tls.Config) (name string, atServer, atClient error) {
		done := make(chan error, 1)
		go func() {
			conn, err := l.Accept()
			if err == nil {
				defer conn.Close()
				err = conn.(*tls.Conn).HandshakeContext(t.Context())
			}
			if err == nil {
				name = conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
			}
			done <- err
		}()
		client = client.Clone()
		client.ServerName = host
		conn, atClient := tls.Dial("tcp", l.Addr().String(), client)
		if atClient == nil {
			defer conn.Close()
		}
		atServer = <-done
		return name, atServer, atClient
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		name, atServer, atClient := shake(host, a.ClientTLS(t, "worker"))
		require.NoError(t, atServer)
		require.NoError(t, atClient)
		require.Equal(t, "worker", name)
	}
	_, _, err = shake("elsewhere", a.ClientTLS(t, "worker"))
	require.ErrorContains(t, err, "elsewhere", "a certificate is for its hosts alone")
	_, _, err = shake("127.0.0.1", b.ClientTLS(t, "worker"))
	require.ErrorContains(t, err, "unknown authority")
	stranger := b.ClientTLS(t, "worker")
	stranger.RootCAs = a.Pool()
	// Chosen whatever the server asks for: Certificates would be left out.
	stranger.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &stranger.Certificates[0], nil
	}
	_, err, _ = shake("127.0.0.1", stranger)
	require.ErrorContains(t, err, "unknown authority")
}
