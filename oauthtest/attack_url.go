// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// noNetwork: what waits for a network stops the clock of a bubble, and so every time limit.
const noNetwork = "oauthtest: AttackURL needs a network, which testing/synctest does not have: call it outside, or use Attack for a handler"

// remote reaches the server at baseURL. It resolves no name unless any host is
// allowed: what a name stands for can change between a check and its use.
func remote(baseURL string, target Target) (*wire, string, error) {
	u, err := parseBase(baseURL)
	if err != nil {
		return nil, "", err
	}
	addrs := []string{address(u, u.Hostname())}
	if !target.UnsafeAnyHost {
		if addrs, err = loopbacks(u); err != nil {
			return nil, "", err
		}
	}
	w := &wire{scheme: u.Scheme, host: u.Host}
	plain := dialFirst(addrs)
	w.dial = func(ctx context.Context) (net.Conn, error) { return plain(ctx, "tcp", "") }
	w.two = &http.Transport{DialContext: plain, DisableCompression: true, Protocols: only(u.Scheme)}
	if u.Scheme == "https" {
		w.secure(plain, u.Hostname(), target.TLS)
	}
	return w, strings.TrimSuffix(u.EscapedPath(), "/"), nil
}

func parseBase(baseURL string) (*url.URL, error) {
	u, err := url.Parse(baseURL)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("oauthtest: baseURL is not an absolute http or https URL")
	case !validPort(u.Port()):
		return nil, errors.New("oauthtest: the port in baseURL is not a number from 1 to 65535")
	case strings.Contains(u.Host, "%"):
		return nil, errors.New("oauthtest: the host in baseURL has a zone or a percent sign: leave it out")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(baseURL, "#"):
		return nil, errors.New("oauthtest: baseURL has userinfo, a query or a fragment: leave only scheme, host, port and path")
	}
	return u, nil
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// secure puts TLS under both protocols; ALPN chooses between them (RFC 9113 §3.2).
func (w *wire) secure(plain dialFunc, name string, cfg *tls.Config) {
	if cfg == nil {
		cfg = new(tls.Config)
	}
	w.two.TLSClientConfig = cfg.Clone()
	cfg = cfg.Clone()
	cfg.NextProtos = []string{"http/1.1"}
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1) // each case has a connection of its own
	if cfg.ServerName == "" {
		cfg.ServerName = name
	}
	w.dial = func(ctx context.Context) (net.Conn, error) {
		conn, err := plain(ctx, "tcp", "")
		if err != nil {
			return nil, err
		}
		return handshake(ctx, conn, cfg)
	}
}

func handshake(ctx context.Context, conn net.Conn, cfg *tls.Config) (net.Conn, error) {
	c := tls.Client(conn, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// only is HTTP/2 alone, with TLS or without.
func only(scheme string) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP2(scheme == "https")
	p.SetUnencryptedHTTP2(scheme == "http")
	return p
}

func address(u *url.URL, host string) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(host, port)
}

// loopbacks returns the addresses that u may stand for.
func loopbacks(u *url.URL) ([]string, error) {
	host := u.Hostname()
	if strings.EqualFold(host, "localhost") {
		return []string{address(u, "127.0.0.1"), address(u, "::1")}, nil
	}
	if strings.HasSuffix(host, ".") {
		return nil, fmt.Errorf("oauthtest: the host %q in baseURL ends in a dot: leave it out", host)
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.Unmap().IsLoopback() {
		return nil, fmt.Errorf("oauthtest: baseURL names the host %q, which is not on loopback: the attack would send it good tokens and hostile requests; use 127.0.0.1, [::1] or localhost, or set Target.UnsafeAnyHost", host)
	}
	return []string{address(u, host)}, nil
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialFirst dials the first address that answers, whatever it is asked for.
func dialFirst(addrs []string) dialFunc {
	return func(ctx context.Context, network, _ string) (conn net.Conn, err error) {
		for _, addr := range addrs {
			if conn, err = new(net.Dialer).DialContext(ctx, network, addr); err == nil {
				return conn, nil
			}
		}
		return nil, err
	}
}
