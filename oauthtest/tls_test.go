// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// trusting is a client that knows nothing but an authority in PEM form, as a program in
// another language would.
func trusting(t *testing.T, authority []byte, protocols *http.Protocols) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		t.Fatalf("no certificate in %q", authority)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestTLS(t *testing.T) {
	as := listen(t, oauthtest.Config{TLS: true, Algorithm: "ES256"})
	t.Run("TA-01/TLS_with_its_own_authority", func(t *testing.T) {
		if !strings.HasPrefix(as.Issuer(), "https://127.0.0.1:") {
			t.Errorf("issuer %s", as.Issuer())
		}
		wantVerdict(t, newVerifier(t, as.VerifierConfig(api)), as.Token(), nil)
	})
	for version, protocols := range map[int]func(*http.Protocols, bool){1: (*http.Protocols).SetHTTP1, 2: (*http.Protocols).SetHTTP2} {
		only := new(http.Protocols)
		protocols(only, true)
		for _, host := range []string{"127.0.0.1", "localhost"} {
			t.Run("TA-01/TLS_for_other_programs_as_"+host, func(t *testing.T) {
				u, err := url.Parse(as.Issuer())
				if err != nil {
					t.Fatal(err)
				}
				resp, err := trusting(t, as.CertificateAuthority(), only).Get("https://" + host + ":" + u.Port() + "/jwks")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if resp.StatusCode != http.StatusOK || resp.ProtoMajor != version {
					t.Errorf("status %d over %s", resp.StatusCode, resp.Proto)
				}
			})
		}
	}
	t.Run("TA-01/TLS_client_speaks_HTTP2", func(t *testing.T) {
		resp, err := as.HTTPClient().Get(as.Issuer() + "/jwks")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.ProtoMajor != 2 {
			t.Errorf("over %s", resp.Proto)
		}
	})
	t.Run("TA-01/TLS_authority_of_another_server_is_not_trusted", func(t *testing.T) {
		other := listen(t, oauthtest.Config{TLS: true, Algorithm: "ES256"})
		if bytes.Equal(other.CertificateAuthority(), as.CertificateAuthority()) {
			t.Error("two servers with one authority")
		}
		if resp, err := other.HTTPClient().Get(as.Issuer() + "/jwks"); err == nil {
			resp.Body.Close()
			t.Error("trusted")
		}
	})
	t.Run("TA-01/TLS_certificate_names_its_authority", func(t *testing.T) {
		other := listen(t, oauthtest.Config{TLS: true, Algorithm: "ES256"})
		root, leaf := certificates(t, as)
		if len(leaf.AuthorityKeyId) == 0 || !bytes.Equal(leaf.AuthorityKeyId, root.SubjectKeyId) {
			t.Errorf("authority key identifier %x, of the authority %x", leaf.AuthorityKeyId, root.SubjectKeyId)
		}
		root2, leaf2 := certificates(t, other)
		if root.Subject.CommonName == root2.Subject.CommonName || !strings.HasPrefix(root.Subject.CommonName, "oauthtest throw-away authority ") {
			t.Errorf("authorities %q and %q", root.Subject.CommonName, root2.Subject.CommonName)
		}
		serials := map[string]bool{}
		for _, c := range []*x509.Certificate{root, leaf, root2, leaf2} {
			serials[c.SerialNumber.String()] = true
		}
		if len(serials) != 4 {
			t.Errorf("serial numbers %v", serials)
		}
	})
	t.Run("TA-01/TLS_authorities_side_by_side", func(t *testing.T) {
		other := listen(t, oauthtest.Config{TLS: true, Algorithm: "ES256"})
		c := trusting(t, append(as.CertificateAuthority(), other.CertificateAuthority()...), nil)
		for _, s := range []*oauthtest.Server{as, other} {
			if a := get(t, c, s.Issuer()+"/jwks"); a.status != http.StatusOK {
				t.Errorf("status %d", a.status)
			}
		}
	})
	t.Run("TA-01/TLS_authority_is_a_copy", func(t *testing.T) {
		as.CertificateAuthority()[0]++
		if as.CertificateAuthority()[0] != '-' {
			t.Error("changed from outside")
		}
	})
}

// certificates are those of the authority and of the server.
func certificates(t *testing.T, as *oauthtest.Server) (root, leaf *x509.Certificate) {
	t.Helper()
	block, _ := pem.Decode(as.CertificateAuthority())
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := as.HTTPClient().Get(as.Issuer() + "/jwks")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return root, resp.TLS.PeerCertificates[0]
}

func TestTLSIssuer(t *testing.T) {
	for _, cfg := range []oauthtest.Config{
		{Issuer: "https://as.invalid"},
		{Issuer: "https://as.invalid:8443/t1"},
		{Issuer: "https://[2001:db8::1]"},
		{Issuer: "https://localhost"},
		{Addr: "127.1.2.3:0"},
		{Addr: "localhost:0"},
	} {
		t.Run("TA-01/TLS_as_"+cfg.Issuer+cfg.Addr, func(t *testing.T) {
			cfg.TLS, cfg.Algorithm = true, "ES256"
			as := listen(t, cfg)
			wantVerdict(t, newVerifier(t, as.VerifierConfig(api)), as.Token(), nil)
		})
	}
	t.Run("TA-01/TLS_with_http_issuer_refused", func(t *testing.T) {
		as, err := oauthtest.Listen(oauthtest.Config{TLS: true, Issuer: "http://as.invalid"})
		if err == nil {
			as.Close()
			t.Fatal("accepted")
		}
		for _, word := range []string{"Issuer", "TLS"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("no %s in the error: %v", word, err)
			}
		}
	})
	t.Run("TA-01/no_authority_without_TLS", func(t *testing.T) {
		for _, as := range []*oauthtest.Server{listen(t, oauthtest.Config{}), oauthtest.NewServer(t)} {
			if got := as.CertificateAuthority(); got != nil {
				t.Errorf("authority %q", got)
			}
		}
	})
}
