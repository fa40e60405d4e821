// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestPublic has the first and last address of each network that is refused, with
// the neighbours outside where these are public.
func TestPublic(t *testing.T) {
	for _, c := range []struct{ name, public, refused string }{
		{"unspecified", "1.0.0.0 2000::", "0.0.0.0 0.255.255.255 :: ::2"},
		{"private", "9.255.255.255 11.0.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0",
			"10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255"},
		{"carrier_NAT", "100.63.255.255 100.128.0.0", "100.64.0.0 100.127.255.255 100.100.100.200"},
		{"loopback", "126.255.255.255 128.0.0.0", "127.0.0.0 127.0.0.1 127.255.255.255 ::1"},
		{"link_local", "169.253.255.255 169.255.0.0", "169.254.0.0 169.254.169.254 169.254.255.255 fe80:: fe80::1 febf:ffff::1 fe80::1%eth0 2606:4700::1111%eth0"},
		{"cloud_services", "168.63.129.15 168.63.129.17", "168.63.129.16 fd00:ec2::254 192.0.0.192"},
		{"protocol_assignments", "191.255.255.255 192.0.1.0 2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2001:200::", "192.0.0.0 192.0.0.255 2001:: 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"Teredo", "", "2001:0:4136:e378:8000:63bf:3fff:fdd2"},
		{"documentation", "192.0.3.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 2001:db7:ffff::1 2001:db9:: 3ffe:ffff::1 3fff:1000::",
			"192.0.2.0 192.0.2.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255 2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 3fff:: 3fff:fff:ffff::1"},
		{"benchmarks", "198.17.255.255 198.20.0.0", "198.18.0.0 198.19.255.255"},
		{"6to4", "192.88.98.255 192.88.100.0 2001:ffff::1 2003::", "192.88.99.0 192.88.99.255 2002:: 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2002:0808:0808::1"},
		{"multicast_and_reserved", "223.255.255.255", "224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.255 ff00:: ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"unique_local", "", "fc00:: fc00::1 fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"site_local", "", "fec0:: feff:ffff::1"},
		{"other_IPv6", "2000::1 2606:4700::1111 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 4000:: 100::1 5f00::1"},
		{"IPv4_mapped", "::ffff:8.8.8.8", "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0.0.0.0"},
		{"IPv4_compatible", "", "::127.0.0.1 ::8.8.8.8"},
		{"NAT64", "64:ff9b::8.8.8.8", "64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b::10.0.0.1 64:ff9b::1:8.8.8.8 64:ff9a:ffff::8.8.8.8"},
		{"NAT64_local", "", "64:ff9b:1:: 64:ff9b:1::8.8.8.8 64:ff9b:1:ffff:ffff:ffff:ffff:ffff"},
	} {
		t.Run("KS-04/G15_"+c.name, func(t *testing.T) {
			for want, list := range map[bool]string{true: c.public, false: c.refused} {
				for _, text := range strings.Fields(list) {
					addr := netip.MustParseAddr(text)
					if Public(addr) != want {
						t.Errorf("%s: public is %v, want %v", text, !want, want)
					}
					err := checkAddress("tcp", netip.AddrPortFrom(addr, 443).String(), nil)
					if (err == nil) != want || err != nil && err != ErrNotPublic {
						t.Errorf("%s: a connection gets %v", text, err)
					}
				}
			}
		})
	}
	t.Run("KS-04/no_address", func(t *testing.T) {
		for _, text := range []string{"", "host.example:443", "/run/socket", "8.8.8.8"} {
			if err := checkAddress("tcp", text, nil); err != ErrNotPublic {
				t.Errorf("%q: %v", text, err)
			}
		}
		if Public(netip.Addr{}) {
			t.Error("the zero address is public")
		}
	})
}

// loopbackServer counts connections, also those that send nothing.
func loopbackServer(t *testing.T) (server *httptest.Server, connections *atomic.Int32) {
	connections = new(atomic.Int32)
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	return server, connections
}

func guarded(t *testing.T, base *http.Client) *Client {
	t.Helper()
	c, err := NewGuardedClient(base)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestGuardedDial goes through the system's own resolver to a server that is there.
func TestGuardedDial(t *testing.T) {
	server, connections := loopbackServer(t)
	server.Start()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for name, host := range map[string]string{
		"localhost": "localhost", "address": "127.0.0.1", "mapped": "[::ffff:127.0.0.1]", "unspecified": "0.0.0.0",
	} {
		t.Run("KS-04/G15_"+name, func(t *testing.T) {
			r := Request{URL: "http://" + host + port, Limit: 10}
			if _, err := NewClient(nil).Get(t.Context(), r); err != nil {
				t.Fatalf("without the guard: %v", err)
			}
			before := connections.Load()
			_, err := guarded(t, nil).Get(t.Context(), r)
			var fe *Error
			if !errors.As(err, &fe) || fe.Err != ErrNotPublic || !fe.Unreachable {
				t.Fatalf("error %v", err)
			}
			if connections.Load() != before {
				t.Error("a connection was made")
			}
		})
	}
}

// nameServer answers every question for an IPv4 address by what a function returns.
// It speaks DNS (RFC 1035 §4.1) over a pipe, which net takes for a TCP connection.
func nameServer(addresses func() []byte) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer ours.Close()
			answerDNS(ours, addresses)
		}()
		return theirs, nil
	}}
}

func answerDNS(conn net.Conn, addresses func() []byte) {
	for {
		size := make([]byte, 2)
		if _, err := io.ReadFull(conn, size); err != nil {
			return
		}
		q := make([]byte, int(size[0])<<8|int(size[1]))
		if _, err := io.ReadFull(conn, q); err != nil {
			return
		}
		end := 12 // of the question: name, type, class
		for q[end] != 0 {
			end += int(q[end]) + 1
		}
		end += 5
		reply := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
		if q[end-3] == 1 { // type A
			reply[7] = 1
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
			reply = append(reply, addresses()...)
		}
		conn.Write(append([]byte{byte(len(reply) >> 8), byte(len(reply))}, reply...))
	}
}

// TestDNSChange: what a name meant a moment ago does not matter.
func TestDNSChange(t *testing.T) {
	server, connections := loopbackServer(t)
	server.Start()
	target, _ := url.Parse(server.URL)
	var lookups atomic.Int32
	var checked []string
	client := guarded(t, nil)
	dialer := &net.Dialer{Timeout: Timeout, Resolver: nameServer(func() []byte {
		lookups.Add(1)
		return []byte{127, 0, 0, 1}
	})}
	first := true
	dialer.Control = func(network, address string, _ syscall.RawConn) error {
		checked = append(checked, address)
		if first { // as if the first answer had been public
			first = false
			return nil
		}
		return checkAddress(network, address, nil)
	}
	client.transport.(*http.Transport).DialContext = dialer.DialContext
	r := Request{URL: "http://rebind.example:" + target.Port(), Limit: 10}
	t.Run("KS-04/F40_every_connection_is_checked", func(t *testing.T) {
		if _, err := client.Get(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Get(t.Context(), r); !errors.Is(err, ErrNotPublic) {
			t.Fatalf("second request: %v", err)
		}
		if lookups.Load() < 2 || len(checked) != 2 || connections.Load() != 1 {
			t.Errorf("%d lookups, %d connections, checked %v", lookups.Load(), connections.Load(), checked)
		}
	})
	t.Run("KS-04/name_of_an_internal_host", func(t *testing.T) {
		for _, a := range [][]byte{{127, 0, 0, 1}, {169, 254, 169, 254}, {10, 0, 0, 1}, {0, 0, 0, 0}} {
			d := &net.Dialer{Timeout: Timeout, Control: checkAddress, Resolver: nameServer(func() []byte { return a })}
			if _, err := d.DialContext(t.Context(), "tcp", "host.example:443"); !errors.Is(err, ErrNotPublic) {
				t.Errorf("%v: %v", a, err)
			}
		}
	})
}

func TestGuardedClient(t *testing.T) {
	t.Run("KS-04/F40_no_proxy", func(t *testing.T) {
		if guarded(t, nil).transport.(*http.Transport).Proxy != nil {
			t.Error("a proxy would look the name up itself")
		}
	})
	t.Run("KS-04/no_connection_is_kept", func(t *testing.T) {
		for _, base := range []*http.Client{nil, {}, {Transport: &http.Transport{}}} {
			if !guarded(t, base).transport.(*http.Transport).DisableKeepAlives {
				t.Error("a connection would be used again without a look")
			}
		}
	})
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("dialed") }
	plain := func(string, string) (net.Conn, error) { return nil, errors.New("dialed") }
	for name, transport := range map[string]http.RoundTripper{
		"default":        http.DefaultTransport, // it has a proxy and a dialer
		"proxy":          &http.Transport{Proxy: http.ProxyFromEnvironment},
		"DialContext":    &http.Transport{DialContext: dial},
		"DialTLSContext": &http.Transport{DialTLSContext: dial},
		//lint:ignore SA1019 deprecated, but in use
		"Dial": &http.Transport{Dial: plain},
		//lint:ignore SA1019 likewise
		"DialTLS":   &http.Transport{DialTLS: plain},
		"other":     http.NewFileTransport(http.Dir(".")),
		"typed_nil": (*http.Transport)(nil),
	} {
		t.Run("KS-04/refuses_transport_"+name, func(t *testing.T) {
			if c, err := NewGuardedClient(&http.Client{Transport: transport}); c != nil || err != ErrUnguardable {
				t.Errorf("got %v, %v", c, err)
			}
		})
	}
}

// TestGuardedTLS: the settings of a supplied transport, used before or not, are
// those of the guarded one.
func TestGuardedTLS(t *testing.T) {
	server, _ := loopbackServer(t)
	server.EnableHTTP2 = true
	server.StartTLS()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	supplied := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer supplied.CloseIdleConnections()
	for _, state := range []string{"unused", "used"} {
		t.Run("KS-04/takes_TLS_settings_of_"+state+"_transport", func(t *testing.T) {
			c := guarded(t, &http.Client{Transport: supplied})
			if _, err := c.Get(t.Context(), Request{URL: server.URL, Limit: 10}); !errors.Is(err, ErrNotPublic) {
				t.Fatalf("error %v", err)
			}
			c.transport.(*http.Transport).DialContext = nil // to see the rest at work
			if _, err := c.Get(t.Context(), Request{URL: server.URL, Limit: 10}); err != nil {
				t.Errorf("without the guard: %v", err)
			}
			if _, err := NewClient(&http.Client{Transport: supplied}).Get(t.Context(), Request{URL: server.URL, Limit: 10}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if supplied.TLSClientConfig.RootCAs != pool || supplied.DialContext != nil || supplied.DisableKeepAlives {
		t.Error("the supplied transport was changed")
	}
}
