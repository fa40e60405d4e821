// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// Another spelling of the issuer's host is the same host (RFC 3986 §6.2.2.1, §6.2.3), on
// both sides; the issuer itself stays as it is spelled.
func TestHostSpellings(t *testing.T) {
	for _, issuer := range []string{"https://ISSUER.test", "https://issuer.test:443/t1", "https://issuer.test:"} {
		t.Run("TA-04/memory_"+issuer, func(t *testing.T) {
			as := oauthtest.NewServer(t, es256, func(c *oauthtest.Config) { c.Issuer = issuer })
			_, path, _ := strings.Cut(strings.TrimPrefix(issuer, "https://"), "/")
			a := get(t, as.HTTPClient(), "https://issuer.test/.well-known/oauth-authorization-server"+strings.TrimSuffix("/"+path, "/"))
			if a.status != want200 || a.json["issuer"] != issuer {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	t.Run("TA-04/loopback", func(t *testing.T) {
		as := listen(t, oauthtest.Config{Algorithm: "ES256", Issuer: "http://as.invalid"})
		if a := get(t, as.HTTPClient(), "http://AS.Invalid:80/jwks"); a.status != want200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// HEAD is GET without the body where there is a document (RFC 9110 §9.3.2).
func TestHead(t *testing.T) {
	as := oauthtest.NewServer(t, es256, func(c *oauthtest.Config) { c.CacheControl = "max-age=60" })
	for e, path := range allEndpoints {
		document := e == oauthtest.EndpointMetadata || e == oauthtest.EndpointKeySet
		t.Run("TA-04/HEAD"+path, func(t *testing.T) {
			resp, err := as.HTTPClient().Head(as.Issuer() + path)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if (resp.StatusCode == want200) != document {
				t.Errorf("status %d", resp.StatusCode)
			}
			if a := get(t, as.HTTPClient(), as.Issuer()+path); document && (resp.ContentLength != int64(len(a.body)) || resp.Header.Get("Cache-Control") != "max-age=60") {
				t.Errorf("%d bytes, %v; GET has %d", resp.ContentLength, resp.Header, len(a.body))
			}
		})
	}
}
