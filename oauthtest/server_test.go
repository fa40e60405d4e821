// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

func TestInstances(t *testing.T) {
	t.Parallel()
	t.Run("TA-01/in_memory", func(t *testing.T) {
		as := oauthtest.NewServer(t)
		wantVerdict(t, newVerifier(t, as.VerifierConfig(api)), as.Token(), nil)
		if as.Issuer() != "https://issuer.test" || as.Fetches() != 1 {
			t.Errorf("issuer %s, %d fetches", as.Issuer(), as.Fetches())
		}
	})
	t.Run("TA-01/loopback", func(t *testing.T) {
		as := listen(t, oauthtest.Config{})
		if !strings.HasPrefix(as.Issuer(), "http://127.0.0.1:") {
			t.Errorf("issuer %s", as.Issuer())
		}
		wantVerdict(t, newVerifier(t, as.VerifierConfig(api)), as.Token(), nil)
	})
	t.Run("TA-01/issuer_of_a_replaced_config", func(t *testing.T) {
		before := ""
		as := oauthtest.NewServer(t, func(c *oauthtest.Config) { before = c.Issuer; *c = oauthtest.Config{Algorithm: "ES256"} })
		if before != "https://issuer.test" || as.Issuer() != before {
			t.Errorf("issuer %q, in the edit %q", as.Issuer(), before)
		}
		wantVerdict(t, newVerifier(t, as.VerifierConfig(api)), as.Token(), nil)
	})
	t.Run("TA-01/inside_synctest_bubble", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			as := oauthtest.NewServer(t)
			v := newVerifier(t, as.VerifierConfig(api))
			raw := as.Token()
			wantVerdict(t, v, raw, nil)
			time.Sleep(11 * time.Minute)
			wantVerdict(t, v, raw, verifier.ErrExpired)
			wantVerdict(t, v, as.Token(), nil)
		})
	})
	// Servers with the same issuer are strangers to each other, with kid or without.
	t.Run("TA-01/parallel_instances", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				as, other := oauthtest.NewServer(t), oauthtest.NewServer(t)
				v := newVerifier(t, as.VerifierConfig(api))
				other.VerifierConfig(api)
				wantVerdict(t, v, as.Token(), nil)
				wantVerdict(t, v, other.Token(), verifier.ErrUnknownKey)
				wantVerdict(t, v, other.Token(oauthtest.NoHeader("kid")), verifier.ErrSignature)
			})
		}
		wg.Wait()
	})
}

func listen(t *testing.T, cfg oauthtest.Config) *oauthtest.Server {
	t.Helper()
	as, err := oauthtest.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := as.Close(); err != nil {
			t.Error(err)
		}
	})
	return as
}

func TestListenAddress(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:0", "localhost.example.com:0", "127.0.0.1.example.com:0", "[fe80::1]:0", "127.0.0.1", "0:0"} {
		t.Run("TA-02/refused_"+addr, func(t *testing.T) {
			as, err := oauthtest.Listen(oauthtest.Config{Addr: addr})
			if err == nil {
				as.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), "Addr") {
				t.Errorf("the error does not name the field: %v", err)
			}
		})
	}
	for _, addr := range []string{"", "localhost:0", "127.0.0.1:0", "127.1.2.3:0"} {
		t.Run("TA-02/accepted_"+addr, func(t *testing.T) {
			as := listen(t, oauthtest.Config{Addr: addr})
			if !strings.HasPrefix(as.Issuer(), "http://127.") {
				t.Errorf("listens at %s", as.Issuer())
			}
			if a := get(t, as.HTTPClient(), as.Issuer()+"/jwks"); a.status != http.StatusOK {
				t.Errorf("status %d", a.status)
			}
		})
	}
	t.Run("address_in_use", func(t *testing.T) {
		first := listen(t, oauthtest.Config{})
		_, err := oauthtest.Listen(oauthtest.Config{Addr: strings.TrimPrefix(first.Issuer(), "http://")})
		if err == nil {
			t.Error("two servers on one port")
		}
	})
}

// TestListenIssuer: the name in the issuer leads to the listener, and nowhere else.
func TestListenIssuer(t *testing.T) {
	for _, issuer := range []string{"http://as.invalid", "http://as.invalid:9999/t1", "http://[2001:db8::1]:8080"} {
		t.Run("TA-01/listen_as_"+issuer, func(t *testing.T) {
			as := listen(t, oauthtest.Config{Issuer: issuer})
			if as.Issuer() != issuer {
				t.Errorf("issuer %s", as.Issuer())
			}
			if a := get(t, as.HTTPClient(), issuer+"/jwks"); a.status != http.StatusOK {
				t.Errorf("status %d", a.status)
			}
			wantVerdict(t, newVerifier(t, as.VerifierConfig(api)), as.Token(), nil)
		})
	}
	t.Run("TA-01/other_hosts_are_themselves", func(t *testing.T) {
		as, other := listen(t, oauthtest.Config{Issuer: "http://as.invalid"}), listen(t, oauthtest.Config{})
		if a := get(t, as.HTTPClient(), other.Issuer()+"/.well-known/openid-configuration"); a.json["issuer"] != other.Issuer() {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("TA-01/https_needs_TLS", func(t *testing.T) {
		for _, issuer := range []string{"https://as.invalid", "HTTPS://127.0.0.1:8080"} {
			as, err := oauthtest.Listen(oauthtest.Config{Issuer: issuer})
			if err == nil {
				as.Close()
				t.Fatal("accepted")
			}
			for _, word := range []string{"Issuer", "TLS", "NewServer"} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("no %s in the error: %v", word, err)
				}
			}
		}
	})
}

func TestConfigFaults(t *testing.T) {
	for _, tc := range []struct {
		field string
		edit  func(*oauthtest.Config)
	}{
		{"Issuer", func(c *oauthtest.Config) { c.Issuer = "issuer.test" }},
		{"Issuer", func(c *oauthtest.Config) { c.Issuer = "ftp://issuer.test" }},
		{"Issuer", func(c *oauthtest.Config) { c.Issuer = "https://issuer.test/?q" }},
		{"Issuer", func(c *oauthtest.Config) { c.Issuer = "https://issuer.test/#" }},
		{"Issuer", func(c *oauthtest.Config) { c.Issuer = "https://user@issuer.test/" }},
		{"Issuer has its path at /canary", func(c *oauthtest.Config) { c.Issuer = "https://issuer.test/canary" }},
		{"Issuer has its path at /canary", func(c *oauthtest.Config) { c.Issuer = "https://issuer.test/canary/t1" }},
		{"Issuer has its path at /canary", func(c *oauthtest.Config) { c.Issuer = "https://issuer.test/%63anary" }},
		{"oauthtest: NewServer: edit 1 is nil: leave it out", nil},
		{"Algorithm", func(c *oauthtest.Config) { c.Algorithm = "none" }},
		{"Audience", func(c *oauthtest.Config) { c.Audience = []string{""} }},
		{"TokenLifetime", func(c *oauthtest.Config) { c.TokenLifetime = -1 }},
		{"Clients", func(c *oauthtest.Config) { c.Clients = []oauthtest.Client{{}} }},
		{"Clients", func(c *oauthtest.Config) { c.Clients = []oauthtest.Client{{ID: "a"}, {ID: "a"}} }},
		{"Clients", func(c *oauthtest.Config) { c.Clients = []oauthtest.Client{{ID: "a", Scopes: []string{"a b"}}} }},
	} {
		got := failureOf(func(t testing.TB) { oauthtest.NewServer(t, tc.edit) })
		if !strings.Contains(got, tc.field) {
			t.Errorf("%s: failure %q", tc.field, got)
		}
	}
	_, err := oauthtest.Listen(oauthtest.Config{Issuer: "x", Algorithm: "x", Audience: []string{""}})
	for _, field := range []string{"Issuer", "Algorithm", "Audience"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not in the one error: %v", field, err)
		}
	}
}

// TestIssuerBesideTheCanary: a path that only begins in the same way is one like any other.
func TestIssuerBesideTheCanary(t *testing.T) {
	for _, path := range []string{"/canaryx", "/x/canary", "/canar"} {
		t.Run("TA-04"+path, func(t *testing.T) {
			as := oauthtest.NewServer(t, es256, func(c *oauthtest.Config) { c.Issuer = "https://issuer.test" + path })
			wantVerdict(t, newVerifier(t, as.VerifierConfig(api)), as.Token(), nil)
		})
	}
}

// TestIssuerThatNoVerifierTakes: the server is not the judge of issuers, and the failure
// is a clear one all the same.
func TestIssuerThatNoVerifierTakes(t *testing.T) {
	for _, issuer := range []string{"https://bücher.test", "https://issuer.test/a b"} {
		got := failureOf(func(t testing.TB) {
			oauthtest.NewServer(t, es256, func(c *oauthtest.Config) { c.Issuer = issuer }).VerifierConfig(api)
		})
		if !strings.Contains(got, "jwkscache.Config.Issuer") {
			t.Errorf("%s: failure %q", issuer, got)
		}
	}
}

func TestMetadata(t *testing.T) {
	const oauth, oidc = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	for _, tc := range []struct {
		issuer string
		paths  []string
	}{
		{"https://issuer.test", []string{oauth, oidc}},
		{"https://issuer.test/", []string{oauth, oidc}},
		{"https://issuer.test/t1", []string{oauth + "/t1", "/t1" + oidc, oidc + "/t1"}},
		{"https://issuer.test/a/t1/", []string{oauth + "/a/t1", "/a/t1" + oidc, oidc + "/a/t1"}},
		{"https://issuer.test:8443/t1", []string{oauth + "/t1", "/t1" + oidc, oidc + "/t1"}},
	} {
		as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Issuer, c.CacheControl = tc.issuer, "max-age=120" })
		origin := strings.Join(strings.SplitN(tc.issuer, "/", 4)[:3], "/")
		for _, path := range tc.paths {
			t.Run("TA-04/"+tc.issuer+path, func(t *testing.T) {
				a := get(t, as.HTTPClient(), origin+path)
				if a.status != http.StatusOK || a.json["issuer"] != tc.issuer {
					t.Errorf("%d %s", a.status, a.body)
				}
				if got := a.header.Get("Cache-Control"); got != "max-age=120" {
					t.Errorf("Cache-Control %q", got)
				}
				keys := get(t, as.HTTPClient(), fmt.Sprint(a.json["jwks_uri"]))
				if set, ok := keys.json["keys"].([]any); !ok || len(set) != 1 || keys.header.Get("Cache-Control") != "max-age=120" {
					t.Errorf("key set %d %v %s", keys.status, keys.header, keys.body)
				}
			})
		}
		t.Run("TA-04/verifies_"+tc.issuer, func(t *testing.T) {
			wantVerdict(t, newVerifier(t, as.VerifierConfig(api)), as.Token(), nil)
		})
	}
	t.Run("TA-26/documents_are_open_to_scripts", func(t *testing.T) {
		as := oauthtest.NewServer(t)
		for _, path := range []string{oauth, oidc, "/jwks"} {
			if got := get(t, as.HTTPClient(), as.Issuer()+path).header.Get("Access-Control-Allow-Origin"); got != "*" {
				t.Errorf("%s: Access-Control-Allow-Origin %q", path, got)
			}
		}
	})
	t.Run("TA-04/no_cache_header", func(t *testing.T) {
		as := oauthtest.NewServer(t)
		if got := get(t, as.HTTPClient(), as.Issuer()+"/jwks").header.Values("Cache-Control"); got != nil {
			t.Errorf("Cache-Control %q", got)
		}
	})
}

func TestOtherRequests(t *testing.T) {
	as := oauthtest.NewServer(t)
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, as.Issuer()+"/jwks", nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := do(t, as.HTTPClient(), post); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", a.status, a.header)
	}
	for url, want := range map[string]int{
		as.Issuer() + "/":              http.StatusNotFound,
		as.Issuer() + "/jwks/":         http.StatusNotFound,
		"https://evil.test/jwks":       http.StatusMisdirectedRequest,
		"https://issuer.test:444/jwks": http.StatusMisdirectedRequest,
		"https://issuer.test:80/jwks":  http.StatusMisdirectedRequest,
		"http://issuer.test:443/jwks":  http.StatusMisdirectedRequest,
		"https://issuer.test.:443/x":   http.StatusMisdirectedRequest,
		"https://issuer.test:443/jwks": http.StatusOK,
		"https://ISSUER.test/jwks":     http.StatusOK,
		"https://Issuer.Test:443/jwks": http.StatusOK,
	} {
		if a := get(t, as.HTTPClient(), url); a.status != want {
			t.Errorf("%s: status %d, want %d", url, a.status, want)
		}
	}
}

func TestRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := oauthtest.NewServer(t)
		v := newVerifier(t, as.VerifierConfig(api))
		first := as.Token(oauthtest.ExpiresIn(24 * time.Hour))
		wantVerdict(t, v, first, nil)
		time.Sleep(time.Minute) // past the unknown-kid cooldown
		as.Rotate()
		second := as.Token(oauthtest.ExpiresIn(24 * time.Hour))
		wantVerdict(t, v, second, nil)
		wantVerdict(t, v, first, nil)
		if got := as.Fetches(); got != 2 {
			t.Errorf("%d fetches", got)
		}
		time.Sleep(time.Minute)
		as.Rotate() // the first key is withdrawn now
		wantVerdict(t, v, as.Token(), nil)
		wantVerdict(t, v, second, nil)
		wantVerdict(t, v, first, verifier.ErrUnknownKey)
	})
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := oauthtest.NewServer(t)
		v := newVerifier(t, as.VerifierConfig(api))
		as.SetOutage(true)
		for _, path := range []string{"/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
			if a := get(t, as.HTTPClient(), as.Issuer()+path); a.status != http.StatusServiceUnavailable {
				t.Errorf("%s: status %d", path, a.status)
			}
		}
		if a := tokenRequest(t, as, "grant_type=client_credentials"); a.status != http.StatusServiceUnavailable {
			t.Errorf("token endpoint: status %d", a.status)
		}
		if got := as.Fetches(); got != 1 {
			t.Errorf("%d fetches: a failed one counts, too", got)
		}
		if got := verdict(v, as.Token()); got != verifier.ErrKeysUnavailable && got != verifier.ErrMetadata {
			t.Errorf("verdict %v during the outage", got)
		}
		as.SetOutage(false)
		time.Sleep(5 * time.Minute) // past the back-off
		wantVerdict(t, v, as.Token(), nil)
	})
}

func TestClose(t *testing.T) {
	as, err := oauthtest.Listen(oauthtest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	as.VerifierConfig(api)
	for range 2 {
		if err := as.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, as.Issuer()+"/jwks", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := as.HTTPClient().Do(req); err == nil {
		resp.Body.Close()
		t.Error("still serves after Close")
	}
}

func TestCloseEndsTheCaches(t *testing.T) {
	as := oauthtest.NewServer(t)
	keys := as.VerifierConfig(api).Keys
	if _, err := keys.Keys(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	as.Close()
	if set, err := keys.Keys(t.Context(), nil); set != nil || verifier.ClassOf(err) != verifier.ErrKeysUnavailable {
		t.Errorf("an open cache after Close: %v", err)
	}
}

// Keys serve again after Close, and no later server may take the tokens.
func TestTokenOfAClosedServer(t *testing.T) {
	for range 10 { // whichever key a server is given
		before := oauthtest.NewServer(t)
		before.VerifierConfig(api)
		old := before.Token()
		before.Close()
		after := oauthtest.NewServer(t)
		v := newVerifier(t, after.VerifierConfig(api))
		wantVerdict(t, v, after.Token(), nil)
		wantVerdict(t, v, old, verifier.ErrUnknownKey)
		wantVerdict(t, v, before.Token(), verifier.ErrUnknownKey)
	}
}

// Reads go on while keys change and the server closes; for the race detector.
func TestConcurrentUse(t *testing.T) {
	as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = "ES256" })
	v := newVerifier(t, as.VerifierConfig(api))
	wantVerdict(t, v, as.Token(), nil)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 20 {
				verdict(v, as.Token())
				if i == 0 {
					as.Rotate()
					as.SetOutage(false)
					as.VerifierConfig(api)
				}
				as.Fetches()
			}
		})
	}
	wg.Wait()
	if err := as.Close(); err != nil {
		t.Error(err)
	}
}

// What the caller does to a Config later is no matter to the server.
func TestConfigIsCopied(t *testing.T) {
	for name, start := range map[string]func(*testing.T, oauthtest.Config) *oauthtest.Server{
		"Listen": listen,
		"NewServer": func(t *testing.T, cfg oauthtest.Config) *oauthtest.Server {
			return oauthtest.NewServer(t, func(c *oauthtest.Config) { *c = cfg })
		},
	} {
		t.Run("TA-03/config_is_copied_by_"+name, func(t *testing.T) {
			cfg := oauthtest.Config{
				Algorithm: "ES256", Audience: []string{api},
				Clients: []oauthtest.Client{{ID: "app", Secret: "secret", Scopes: []string{"a"}}},
				Users:   []oauthtest.User{{Subject: "u", Claims: map[string]any{"plan": "gold"}}},
			}
			as := start(t, cfg)
			cfg.Clients[0].Secret, cfg.Clients[0].Scopes[0], cfg.Users[0].Claims["plan"] = "other", "b", "none"
			a := tokenRequest(t, as, "grant_type=client_credentials&scope=a", basic("app", "secret"))
			if a.status != want200 || oauthtest.UserClaims(as)["plan"] != "gold" {
				t.Errorf("%d %s, %v", a.status, a.body, oauthtest.UserClaims(as))
			}
		})
	}
}
