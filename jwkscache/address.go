// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/internal/fetch"
)

// insecureHosts are the hosts for which http is accepted (KS-01).
type insecureHosts struct {
	names    []string // lower case
	loopback bool
}

func checkHosts(f *faults, list []string) insecureHosts {
	var hosts insecureHosts
	for _, entry := range list {
		name := strings.ToLower(entry)
		addr, err := netip.ParseAddr(name)
		switch {
		case name == "loopback":
			hosts.loopback = true
		case err == nil:
			hosts.names = append(hosts.names, addr.Unmap().String())
		case name == "" || strings.ContainsAny(name, ":/*?#@[] "):
			f.add("InsecureHosts holds %q: give a host name or IP address without scheme, port or pattern", entry)
		default:
			hosts.names = append(hosts.names, name)
		}
	}
	return hosts
}

// allow reports whether http may be used for host, a name or an address.
func (h insecureHosts) allow(host string) bool {
	host = strings.ToLower(host)
	addr, err := netip.ParseAddr(host)
	if err == nil {
		host = addr.Unmap().String()
	}
	if h.loopback && (host == "localhost" || err == nil && addr.Unmap().IsLoopback()) {
		return true
	}
	return slices.Contains(h.names, host)
}

// addressFault says why raw may not be fetched from, or "". The text continues a
// sentence and holds nothing of raw, which can contain a secret.
func addressFault(raw string, insecure insecureHosts) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return "is not an absolute URL: write it with https://"
	case u.User != nil:
		return "has userinfo: remove it, and let HTTPClient send credentials"
	case strings.Contains(raw, "#"):
		return "has a fragment: remove it"
	case u.Scheme == "https":
		return ""
	case u.Scheme == "http" && insecure.allow(u.Hostname()):
		return ""
	case u.Scheme == "http":
		return "uses http: use https, or list the host in InsecureHosts if the network protects the traffic"
	}
	return "is not an https URL: correct it"
}

// addressFault is addressFault with the settings of the cache (KS-01, KS-04).
func (s *settings) addressFault(raw string) string {
	reason := addressFault(raw, s.insecure)
	if reason == "" && s.guarded && notPublic(raw) {
		reason = "is at an address that is not public (Config.PublicOnly)"
	}
	return reason
}

// notPublic reports a URL with an IP address, instead of a name, that the guard of
// the client would refuse: no attempt is needed to know.
func notPublic(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false // refused for that
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && !fetch.Public(addr)
}

// PublicOnly reports whether the cache connects to public addresses only: if
// Config.PublicOnly was set, or if it reads a file and connects to none.
func (c *Cache) PublicOnly() bool { return c != nil && (c.guarded || c.file != "") }
