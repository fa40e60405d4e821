// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
)

// ErrNotPublic is the reason of a guarded client that refused to connect. It does
// not say which address it was: what a name means inside a network is nobody's
// business who could choose the name.
var ErrNotPublic = errors.New("the host is not at a public address")

// special lists the networks that are not the public internet's, or that lead on to
// addresses which are not checked (IANA special-purpose registries, RFC 6890). Of
// IPv6 only what lies in 2000::/3 is listed: the rest is refused as a whole.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network
	netip.MustParsePrefix("10.0.0.0/8"),       // private (RFC 1918)
	netip.MustParsePrefix("100.64.0.0/10"),    // behind a carrier's NAT (RFC 6598)
	netip.MustParsePrefix("127.0.0.0/8"),      // loopback
	netip.MustParsePrefix("168.63.129.16/32"), // a cloud's own services for its machines
	netip.MustParsePrefix("169.254.0.0/16"),   // link-local, cloud metadata
	netip.MustParsePrefix("172.16.0.0/12"),    // private
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),     // documentation (RFC 5737)
	netip.MustParsePrefix("192.88.99.0/24"),   // 6to4 relays (RFC 7526)
	netip.MustParsePrefix("192.168.0.0/16"),   // private
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks (RFC 2544)
	netip.MustParsePrefix("198.51.100.0/24"),  // documentation
	netip.MustParsePrefix("203.0.113.0/24"),   // documentation
	netip.MustParsePrefix("224.0.0.0/3"),      // multicast, reserved, broadcast
	netip.MustParsePrefix("2001::/23"),        // protocol assignments, Teredo (RFC 4380)
	netip.MustParsePrefix("2001:db8::/32"),    // documentation
	netip.MustParsePrefix("2002::/16"),        // 6to4: any IPv4 address inside
	netip.MustParsePrefix("3fff::/20"),        // documentation (RFC 9637)
}

var (
	globalIPv6 = netip.MustParsePrefix("2000::/3") // all that is assigned as global unicast
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
)

// Public reports whether addr is a unicast address of the public internet. An IPv4
// address inside an IPv6 one counts as what it is: mapped (RFC 4291 §2.5.5.2), or
// reached by a translator under the well-known prefix (RFC 6052 §2.1), by which
// networks without IPv4 reach the rest.
func Public(addr netip.Addr) bool {
	addr = addr.Unmap()
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	if !addr.IsValid() || addr.Is6() && !globalIPv6.Contains(addr) {
		return false
	}
	for _, p := range special {
		if p.Contains(addr) {
			return false
		}
	}
	return true
}

// checkAddress is called by a dialer for every connection, after the name was
// resolved and before a packet is sent: a name that means another address by then
// than it did for an earlier check cannot get past it.
func checkAddress(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !Public(ap.Addr()) {
		return ErrNotPublic
	}
	return nil
}

// NewGuardedClient returns a client that connects to public addresses only (KS-04).
// Of base's transport it takes the TLS settings and nothing else, since a dial
// function or proxy would choose the address out of its sight. So it uses no proxy,
// that of the environment included, and fails with ErrUnguardable for a transport
// that has its own.
func NewGuardedClient(base *http.Client) (*Client, error) {
	guarded := ownTransport()
	guarded.Proxy = nil
	guarded.DialContext = (&net.Dialer{Timeout: Timeout, Control: checkAddress}).DialContext
	if base == nil || base.Transport == nil {
		return &Client{guarded}, nil
	}
	config, err := tlsSettings(base.Transport)
	if err != nil {
		return nil, err
	}
	if config != nil {
		guarded.TLSClientConfig = config
	}
	return &Client{guarded}, nil
}

// ErrUnguardable refuses a transport of which [NewGuardedClient] cannot tell where
// it connects to.
var ErrUnguardable = errors.New("the transport may choose the address to connect to itself")

func tlsSettings(transport http.RoundTripper) (*tls.Config, error) {
	t, ok := transport.(*http.Transport)
	if !ok || t == nil || t.Proxy != nil || t.DialContext != nil || t.DialTLSContext != nil {
		return nil, ErrUnguardable
	}
	//lint:ignore SA1019 deprecated fields count as well
	if t.Dial != nil || t.DialTLS != nil {
		return nil, ErrUnguardable
	}
	config := t.Clone().TLSClientConfig // Clone, since the first use of t changes its settings
	if config != nil {
		config.NextProtos = nil // HTTP/2 needs more than its name
	}
	return config, nil
}
