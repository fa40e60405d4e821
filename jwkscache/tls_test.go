// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// certificate is a self-signed one for 127.0.0.1, after edit.
func certificate(t *testing.T, edit func(*x509.Certificate)) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true,
	}
	edit(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// secure is a server on loopback that counts its requests.
func secure(t *testing.T, config *tls.Config) (server *httptest.Server, hits *int) {
	t.Helper()
	hits = new(int)
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*hits++
		io.WriteString(w, kids("one"))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = config
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, hits
}

func TestTLS(t *testing.T) {
	plain := func(*x509.Certificate) {}
	for name, c := range map[string]struct {
		edit    func(*x509.Certificate)
		version uint16 // the highest that the server speaks
		own     bool   // the cache's own client, which does not know the authority
		fails   bool
	}{
		"KS-01/good_certificate": {plain, tls.VersionTLS13, false, false},
		"KS-01/F30_self_signed":  {plain, tls.VersionTLS13, true, true},
		"KS-01/F30_expired":      {func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }, tls.VersionTLS13, false, true},
		"KS-01/F30_wrong_host":   {func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"id.example"} }, tls.VersionTLS13, false, true},
		"SE-05/TLS_1.2":          {plain, tls.VersionTLS12, false, false},
		"SE-05/TLS_1.1":          {plain, tls.VersionTLS11, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			cert, pool := certificate(t, c.edit)
			server, hits := secure(t, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: c.version})
			cfg := jwkscache.Config{URL: server.URL + "/jwks"}
			if !c.own {
				transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
				defer transport.CloseIdleConnections()
				cfg.HTTPClient = &http.Client{Transport: transport}
			}
			cache, err := jwkscache.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer cache.Close()
			err = cache.Warm(t.Context())
			if !c.fails {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantClass(t, err, verifier.ErrKeysUnavailable)
			if *hits > 0 {
				t.Error("a request was sent")
			}
		})
	}
}

// TestOwnClient: the cache's own client, over a socket.
func TestOwnClient(t *testing.T) {
	t.Run("KS-01/loopback_over_a_socket", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, kids("one"))
		}))
		defer server.Close()
		cache, err := jwkscache.New(jwkscache.Config{URL: server.URL, InsecureHosts: []string{"loopback"}})
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close()
		if err := cache.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("KS-12/F3_refused", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		cache, err := jwkscache.New(jwkscache.Config{URL: "https://" + listener.Addr().String()})
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close()
		wantClass(t, cache.Warm(t.Context()), verifier.ErrKeysUnavailable)
	})
	t.Run("KS-12/F3_no_such_host", func(t *testing.T) {
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "id.example", IsNotFound: true}
		}}
		cache, err := jwkscache.New(jwkscache.Config{Issuer: issuer, HTTPClient: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close()
		wantClass(t, cache.Warm(t.Context()), verifier.ErrKeysUnavailable)
	})
}
