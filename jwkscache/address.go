// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
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
