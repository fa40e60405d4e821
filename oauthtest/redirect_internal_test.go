// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"net/netip"
	"net/url"
	"testing"
)

func TestRedirectAllowed(t *testing.T) {
	for _, tc := range []struct {
		name, registered, given string
		want                    bool
	}{
		{"TA-10/equal", "https://a.test/cb", "https://a.test/cb", true},
		{"TA-10/port_added", "http://127.0.0.1/cb", "http://127.0.0.1:1/cb", true},
		{"TA-10/port_left_out", "http://127.0.0.1:80/cb", "http://127.0.0.1/cb", true},
		{"TA-10/port_0", "http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false},
		{"TA-10/port_65536", "http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", false},
		{"TA-10/empty_port", "http://127.0.0.1/cb", "http://127.0.0.1:/cb", false},
		{"TA-10/signed_port", "http://127.0.0.1/cb", "http://127.0.0.1:+1/cb", false},
		{"TA-10/two_ports", "http://127.0.0.1/cb", "http://127.0.0.1:1:2/cb", false},
		{"TA-10/userinfo_as_port", "http://127.0.0.1/cb", "http://127.0.0.1:1@evil.test/cb", false},
		{"TA-10/userinfo", "http://127.0.0.1/cb", "http://evil.test@127.0.0.1:1/cb", false},
		{"TA-10/backslash", "http://127.0.0.1/cb", `http://127.0.0.1:1\@evil.test/cb`, false},
		{"TA-10/suffix", "http://127.0.0.1/cb", "http://127.0.0.1.evil.test:1/cb", false},
		{"TA-10/upper_case_scheme", "http://127.0.0.1/cb", "HTTP://127.0.0.1:1/cb", false},
		{"TA-10/no_path", "http://127.0.0.1", "http://127.0.0.1:1", true},
		{"TA-10/path_added", "http://127.0.0.1", "http://127.0.0.1:1/", false},
		{"TA-10/fragment_added", "http://127.0.0.1/cb", "http://127.0.0.1:1/cb#x", false},
		{"TA-10/query_added", "http://127.0.0.1", "http://127.0.0.1:1?x=1", false},
		{"TA-10/ipv6", "http://[::1]/cb", "http://[::1]:1/cb", true},
		{"TA-10/ipv6_without_brackets", "http://[::1]/cb", "http://::1:1/cb", false},
		{"TA-10/ipv6_spelled_out", "http://[::1]/cb", "http://[0:0:0:0:0:0:0:1]:1/cb", false},
		{"TA-10/ipv4_in_brackets", "http://[127.0.0.1]/cb", "http://[127.0.0.1]:1/cb", false},
		{"TA-10/other_family", "http://127.0.0.1/cb", "http://[::1]:1/cb", false},
		{"TA-10/short_ipv4", "http://127.1/cb", "http://127.1:1/cb", false},
		{"TA-10/any_address", "http://0.0.0.0/cb", "http://0.0.0.0:1/cb", false},
		{"TA-10/second_of_the_list", "https://b.test/cb", "https://b.test/cb", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Client{RedirectURIs: []string{"https://first.test/cb", tc.registered}}
			if got := c.redirectAllowed(tc.given); got != tc.want {
				t.Errorf("%q for %q: %v", tc.given, tc.registered, got)
			}
		})
	}
}

// FuzzRedirect: whatever is allowed leads to the registered place at another port, also
// in the eyes of a real URL parser.
func FuzzRedirect(f *testing.F) {
	registered := []string{"http://127.0.0.1/cb?a=b", "http://[::1]:80/cb", "https://client.test/cb"}
	for _, seed := range append(registered, "http://127.0.0.1:1/cb?a=b", "http://127.0.0.1:1@evil.test/cb?a=b", "http://[::1]:1/cb") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		if !(Client{RedirectURIs: registered}).redirectAllowed(given) {
			return
		}
		got, err := url.Parse(given)
		if err != nil {
			t.Fatalf("%q is allowed and no URL", given)
		}
		for _, r := range registered {
			want, _ := url.Parse(r)
			ip, err := netip.ParseAddr(got.Hostname())
			port := got.Port() == want.Port() || err == nil && ip.IsLoopback() && got.Scheme == "http"
			if got.Scheme == want.Scheme && got.Hostname() == want.Hostname() && got.RequestURI() == want.RequestURI() && got.User == nil && got.Fragment == "" && port {
				return
			}
		}
		t.Errorf("%q is allowed", given)
	})
}

func TestWithParams(t *testing.T) {
	params := url.Values{"code": {"a b"}}
	for _, tc := range []struct {
		uri      string
		fragment bool
		want     string
	}{
		{"https://a.test/cb", false, "https://a.test/cb?code=a+b"},
		{"https://a.test/cb?", false, "https://a.test/cb?code=a+b"},
		{"https://a.test/cb?x=1", false, "https://a.test/cb?x=1&code=a+b"},
		{"https://a.test/cb?x=1&", false, "https://a.test/cb?x=1&code=a+b"},
		{"https://a.test/cb?x=1", true, "https://a.test/cb?x=1#code=a+b"},
	} {
		if got := withParams(tc.uri, params, tc.fragment); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.uri, got, tc.want)
		}
	}
}

func TestRedirectTarget(t *testing.T) {
	for uri, want := range map[string]string{
		"https://client.test:8443/cb?x=1": "https://client.test:8443", "http://[::1]/cb": "http://[::1]",
		"com.example.app:/cb": "com.example.app:", "https://user:secret@client.test/cb": "https://client.test", "http://[::1/cb": "http://[::1/cb",
	} {
		if got := redirectTarget(uri); got != want {
			t.Errorf("%q: %q, want %q", uri, got, want)
		}
	}
}
