// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"crypto/tls"
	"net"
	"net/http"
)

// Client sends requests without following redirects and without cookies, which a
// bare transport does not know. It is safe for concurrent use.
type Client struct{ transport http.RoundTripper }

// NewClient returns a client on base's transport, or on a transport of its own if
// base is nil. base itself is not changed; its redirect policy, cookie jar and
// timeout are not used (KS-03, KS-28).
func NewClient(base *http.Client) *Client {
	switch {
	case base == nil:
		return &Client{ownTransport()}
	case base.Transport == nil:
		return &Client{http.DefaultTransport}
	}
	return &Client{base.Transport}
}

// ownTransport keeps no connection, and so no goroutine, between two requests: they
// are minutes apart. Its dial and handshake have limits of their own, since the
// transport lets them go on when the request that asked for them has ended.
func ownTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: Timeout}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    Timeout,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Inspect returns what deserves a warning about the TLS settings of a supplied
// client, or "" (SE-05; BCP 195).
func Inspect(base *http.Client) string {
	if base == nil {
		return ""
	}
	transport := base.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	if b, ok := transport.(*Bearer); ok && b != nil {
		if b.base == nil {
			return ""
		}
		transport = b.base
	}
	t, ok := transport.(*http.Transport)
	//lint:ignore SA1019 a deprecated field counts as well
	unknown := !ok || t == nil || t.DialTLSContext != nil || t.DialTLS != nil
	switch {
	case unknown:
		return "TLS settings of the transport are unknown"
	case t.TLSClientConfig == nil:
		return ""
	case t.TLSClientConfig.InsecureSkipVerify:
		return "the transport does not verify certificates (InsecureSkipVerify)"
	case t.TLSClientConfig.MinVersion != 0 && t.TLSClientConfig.MinVersion < tls.VersionTLS12:
		return "the transport accepts TLS versions below 1.2"
	}
	return ""
}
