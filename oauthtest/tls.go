// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// CertificateAuthority returns the certificate, in PEM form, of the authority that a
// server with Config.TLS has its own from: for programs that do not use HTTPClient, in
// a file for SSL_CERT_FILE, NODE_EXTRA_CA_CERTS or curl --cacert, for example. Its key
// is thrown away as soon as it has signed. nil without TLS.
func (s *Server) CertificateAuthority() []byte { return bytes.Clone(s.host.authority) }

// secure makes the host serve https, under the name of its issuer, as localhost,
// 127.0.0.1 and ::1.
func (h *host) secure(name string) error {
	authority, leaf, err := certify(name)
	if err != nil {
		return fmt.Errorf("oauthtest: make a certificate: %w", err)
	}
	h.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	h.http.ErrorLog = log.New(quiet{}, "", log.LstdFlags)
	h.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{leaf}}
	h.transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	h.transport.ForceAttemptHTTP2 = true // a transport with its own dialer would not
	return nil
}

// quiet leaves out clients that do not trust the authority, and those that leave during
// Close: tests see the other end of both.
type quiet struct{}

func (quiet) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("TLS handshake error")) {
		return len(line), nil
	}
	return os.Stderr.Write(line)
}

// template is valid for as long as any test clock is likely to show. Without a serial
// number it gets a random one: no two of an authority may be the same (RFC 5280 §4.1.2.2).
func template(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:  time.Date(2099, 12, 31, 0, 0, 0, 0, time.UTC),
	}
}

// rootTemplate has a name of its own: a program that trusts several authorities looks for
// the one of a certificate by its name.
func rootTemplate() *x509.Certificate {
	root := template("oauthtest throw-away authority " + rand.Text())
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	return root
}

func leafTemplate(name string) *x509.Certificate {
	leaf := template("oauthtest")
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.DNSNames = []string{"localhost"}
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if literal := net.ParseIP(name); literal != nil {
		leaf.IPAddresses = append(leaf.IPAddresses, literal)
	} else if !slices.Contains(leaf.DNSNames, name) {
		leaf.DNSNames = append(leaf.DNSNames, strings.TrimSuffix(name, "."))
	}
	return leaf
}

// certify makes an authority and a certificate of it. The certificate names the key of
// the authority by an identifier, without which some programs refuse it (RFC 5280
// §4.2.1.1); the authority has one only after it is parsed.
func certify(name string) (*x509.Certificate, tls.Certificate, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	leafKey, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err = errors.Join(err, err2); err != nil {
		return nil, tls.Certificate{}, err
	}
	root := rootTemplate()
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	authority, err := x509.ParseCertificate(rootDER)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leafTemplate(name), authority, leafKey.Public(), rootKey)
	return authority, tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}, err
}

func (c Config) scheme() string {
	if c.TLS {
		return "https"
	}
	return "http"
}

// checkScheme is for Listen, which serves one scheme only.
func (c Config) checkScheme() error {
	s, _, _ := strings.Cut(strings.ToLower(c.Issuer), ":")
	switch {
	case s == "https" && !c.TLS:
		return errors.New("oauthtest: Issuer is an https URL, but Listen serves without TLS: set TLS, use an http URL, or NewServer")
	case s == "http" && c.TLS:
		return errors.New("oauthtest: Issuer is an http URL, but TLS is set: use an https URL, or leave TLS out")
	}
	return nil
}
