// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/mtls"
)

// ClientCertificates says where the client's certificate comes from. The zero value takes
// it from the TLS connection that the request came by. The server must then ask for
// certificates: tls.RequestClientCert suffices, since the binding needs no trusted chain
// (RFC 8705 §6.2).
type ClientCertificates struct {
	// Header is the form in which a reverse proxy that ends TLS passes the client's
	// certificate on, such as mtls.ClientCert(). It needs Proxies. With it, the certificate
	// of the connection itself, which is the proxy's, is never taken for the client's. The
	// zero value means no header.
	//
	// The proxy must remove the field from what clients send, and the way from it to this
	// server must be protected (RFC 9440 §4).
	Header mtls.Header
	// Proxies are the peers whose Header counts; that of others is ignored.
	Proxies Proxies
	// RequireVerifiedChain accepts a certificate only if the TLS connection verified its
	// chain (RFC 8705 §6.2). It cannot be had with Header.
	RequireVerifiedChain bool
}

// Proxies are the peers that are reverse proxies of one's own. A peer that meets one of
// the rules is one. The peer's address is Request.RemoteAddr: no layer in front of the
// Guard may replace that by what a header says.
type Proxies struct {
	// Addresses are those of the proxies.
	Addresses []netip.Prefix
	// UnixSocket trusts every peer of a Unix socket.
	UnixSocket bool
	// Names trusts a peer whose TLS certificate this server verified, and that has one of
	// these DNS names.
	Names []string
}

func (c *ClientCertificates) clone() *ClientCertificates {
	if c == nil {
		return nil
	}
	copied := *c
	copied.Proxies.Addresses = slices.Clone(c.Proxies.Addresses)
	copied.Proxies.Names = slices.Clone(c.Proxies.Names)
	return &copied
}

func (c *ClientCertificates) check(fault func(field, format string, args ...any)) {
	fromHeader := c.Header != mtls.Header{}
	if fromHeader && !isFieldName(c.Header.Name()) {
		fault("ClientCertificates.Header", "%q is not the name of a header field: give it the field that the proxy sets", c.Header.Name())
	}
	some := len(c.Proxies.Addresses) > 0 || c.Proxies.UnixSocket || len(c.Proxies.Names) > 0
	switch {
	case fromHeader && !some:
		fault("ClientCertificates.Proxies", "missing: say which peers may send %s, or any client could (RFC 9440 §4)", c.Header.Name())
	case !fromHeader && some:
		fault("ClientCertificates.Header", "missing: say in which form the Proxies pass certificates on, or leave Proxies out")
	}
	if fromHeader && c.RequireVerifiedChain {
		fault("ClientCertificates.RequireVerifiedChain", "set together with Header, which says nothing of a chain: let the proxy verify it")
	}
	for i, a := range c.Proxies.Addresses {
		if !a.IsValid() {
			fault("ClientCertificates.Proxies", "address %d is not a prefix: use netip.ParsePrefix", i)
		}
	}
	if slices.Contains(c.Proxies.Names, "") {
		fault("ClientCertificates.Proxies", "an empty name: remove it")
	}
}

// of returns the DER of the certificate that the client of r presented, or nil.
func (c *ClientCertificates) of(r *http.Request) []byte {
	if name := c.Header.Name(); c.Header != (mtls.Header{}) {
		if !c.Proxies.trust(r) {
			return nil
		}
		der, ok := c.Header.Certificate(r.Header[name])
		if !ok {
			return nil
		}
		return der
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	if c.RequireVerifiedChain && len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0].Raw
}

func (p *Proxies) trust(r *http.Request) bool {
	return p.UnixSocket && overUnixSocket(r) || p.trustAddress(r.RemoteAddr) || p.trustName(r)
}

// overUnixSocket asks the server, which knows by what it was reached.
func overUnixSocket(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && addr.Network() == "unix"
}

func (p *Proxies) trustAddress(remote string) bool {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	addr := peer.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(p.Addresses, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

func (p *Proxies) trustName(r *http.Request) bool {
	if len(p.Names) == 0 || r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return false
	}
	return slices.ContainsFunc(p.Names, func(name string) bool { return names(r.TLS.PeerCertificates[0], name) })
}

// names compares exactly: a wildcard in a certificate stands for no name here.
func names(cert *x509.Certificate, name string) bool { return slices.Contains(cert.DNSNames, name) }

// isFieldName reports whether s is a token (RFC 9110 §5.1, §5.6.2).
func isFieldName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') && !strings.Contains("!#$%&'*+-.^_`|~", s[i:i+1]) {
			return false
		}
	}
	return s != ""
}
