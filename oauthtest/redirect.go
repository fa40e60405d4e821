// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// redirectAllowed compares redirect URIs as strings (RFC 9700 §2.1): what two parsers
// read differently is not compared by either.
func (c Client) redirectAllowed(given string) bool {
	for _, registered := range c.RedirectURIs {
		if registered == given {
			return true
		}
		a, ok := withoutPort(registered)
		if !ok {
			continue
		}
		if b, ok := withoutPort(given); ok && a == b {
			return true
		}
	}
	return false
}

// withoutPort takes the port out of an http URI with a loopback IP address: a native
// client learns its port from the operating system (RFC 8252 §7.3). It is false for
// all others, also for localhost, which the resolver may lead elsewhere (§8.3).
func withoutPort(uri string) (string, bool) {
	rest, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return "", false
	}
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = i
	}
	host, ok := loopbackHost(rest[:end])
	return "http://" + host + rest[end:], ok
}

// loopbackHost cuts the port from an authority that is a loopback IP address.
func loopbackHost(authority string) (string, bool) {
	host := authority
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host = authority[:i]
		if port, err := strconv.ParseUint(authority[i+1:], 10, 16); err != nil || port == 0 {
			return "", false
		}
	}
	inside, bracketed := strings.CutPrefix(host, "[")
	inside = strings.TrimSuffix(inside, "]")
	ip, err := netip.ParseAddr(inside)
	return host, err == nil && ip.IsLoopback() && ip.Is6() == bracketed
}

// withParams puts the parameters of an answer behind a redirect URI and keeps the
// query that it has (RFC 6749 §3.1.2).
func withParams(uri string, params url.Values, fragment bool) string {
	switch {
	case fragment:
		return uri + "#" + params.Encode()
	case !strings.Contains(uri, "?"):
		return uri + "?" + params.Encode()
	case strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&"):
		return uri + params.Encode()
	}
	return uri + "&" + params.Encode()
}

// redirectTarget is the part of a redirect URI by which a user can know the client.
func redirectTarget(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return uri
	case u.Host == "":
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}
