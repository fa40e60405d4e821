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

// Issuers at one host are behind one verifier, and none passes for another (JV-16).
func TestTenants(t *testing.T) {
	t.Parallel()
	for name, as := range map[string]*oauthtest.Server{
		"memory":            oauthtest.NewServer(t, es256),
		"loopback":          listen(t, oauthtest.Config{Algorithm: "ES256"}),
		"TLS":               listen(t, oauthtest.Config{Algorithm: "ES256", TLS: true}),
		"issuer_with_path":  oauthtest.NewServer(t, es256, func(c *oauthtest.Config) { c.Issuer = "https://issuer.test/t0" }),
		"issuer_with_slash": oauthtest.NewServer(t, es256, func(c *oauthtest.Config) { c.Issuer = "https://issuer.test/" }),
	} {
		servers := []*oauthtest.Server{as, as.Tenant("/t1"), as.Tenant("/t2/", func(c *oauthtest.Config) { c.Algorithm = "RS256" }), as.Tenant("/t1/below")}
		var parts []*verifier.Verifier
		for _, s := range servers {
			parts = append(parts, newVerifier(t, s.VerifierConfig(api)))
		}
		joined, err := verifier.Join(parts...)
		if err != nil {
			t.Fatal(err)
		}
		t.Run("TA-01/tenants_"+name, func(t *testing.T) {
			for _, s := range servers {
				wantVerdict(t, joined, s.Token(), nil)
				for _, other := range servers {
					if other == s {
						continue
					}
					pretended := oauthtest.Claim("iss", other.Issuer())
					wantVerdict(t, joined, s.Token(pretended), verifier.ErrUnknownKey)
					wantVerdict(t, joined, s.Token(pretended, oauthtest.Header("kid", kidOf(t, other.Token()))), pretender(s, other))
				}
			}
		})
		t.Run("TA-04/tenants_"+name, func(t *testing.T) {
			for _, s := range servers[1:] {
				for _, url := range metadataOf(t, s.Issuer()) {
					if a := get(t, as.HTTPClient(), url); a.status != http.StatusOK || a.json["issuer"] != s.Issuer() {
						t.Errorf("%s: %d %s", url, a.status, a.body)
					}
				}
			}
		})
	}
}

// pretender: a key of another type is no candidate at all.
func pretender(s, other *oauthtest.Server) error {
	if s.PrivateJWK()["kty"] != other.PrivateJWK()["kty"] {
		return verifier.ErrUnknownKey
	}
	return verifier.ErrSignature
}

// metadataOf lists the three places (RFC 8414 §3.1, §5).
func metadataOf(t *testing.T, issuer string) []string {
	t.Helper()
	at := strings.Index(issuer[len("https://"):], "/") + len("https://")
	host, path := issuer[:at], strings.TrimSuffix(issuer[at:], "/")
	const oauth, oidc = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	return []string{host + oauth + path, host + path + oidc, host + oidc + path}
}

// What is set for one issuer is not set for another.
func TestTenantsAreApart(t *testing.T) {
	as := oauthtest.NewServer(t, es256, func(c *oauthtest.Config) { c.Audience, c.Now = []string{api}, func() time.Time { return noon } })
	tenant := as.Tenant("/t1", func(c *oauthtest.Config) {
		c.Audience = []string{secondAPI}
		c.Clients = []oauthtest.Client{{ID: "theirs", Secret: "s"}}
	})
	t.Run("TA-03/config_is_inherited", func(t *testing.T) {
		if _, claims := parts(t, tenant.Token()); claims["iat"] != float64(noon.Unix()) || claims["aud"] != secondAPI || claims["client_id"] != "theirs" || claims["iss"] != "https://issuer.test/t1" {
			t.Errorf("claims %v", claims)
		}
		if _, claims := parts(t, as.Token()); claims["aud"] != api || claims["client_id"] != "test-client" {
			t.Errorf("claims %v", claims)
		}
	})
	t.Run("TA-13/clients", func(t *testing.T) {
		for secret, want := range map[string]int{"s": want200, "test-secret": want401} {
			id := map[string]string{"s": "theirs", "test-secret": "test-client"}[secret]
			if a := tokenRequest(t, tenant, "grant_type=client_credentials", basic(id, secret)); a.status != want {
				t.Errorf("%s: %d %s", id, a.status, a.body)
			}
		}
	})
	t.Run("TA-23/faults_outage_requests", func(t *testing.T) {
		as.ClearRequests()
		tenant.ClearRequests()
		tenant.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{Status: 500})
		as.SetOutage(true)
		if a := get(t, as.HTTPClient(), as.Issuer()+"/jwks"); a.status != 503 {
			t.Errorf("status %d", a.status)
		}
		as.SetOutage(false)
		if a := get(t, as.HTTPClient(), tenant.Issuer()+"/jwks"); a.status != 500 {
			t.Errorf("status %d", a.status)
		}
		wantAsked(t, as, "key set GET https://issuer.test/jwks")
		wantAsked(t, tenant, "key set GET https://issuer.test/t1/jwks")
		if as.Fetches() != 1 || tenant.Fetches() != 1 {
			t.Errorf("%d and %d fetches", as.Fetches(), tenant.Fetches())
		}
		tenant.ClearRequests()
		wantAsked(t, as, "key set GET https://issuer.test/jwks")
	})
	t.Run("TA-22/rotation", func(t *testing.T) {
		before := string(as.KeySet())
		tenant.RotateAbruptly()
		if string(as.KeySet()) != before {
			t.Error("the rotation of a tenant changed other keys")
		}
	})
}

// What an edit of a tenant changes is the tenant's alone, however deep it lies.
func TestTenantEditsAreItsOwn(t *testing.T) {
	as := oauthtest.NewServer(t, es256, func(c *oauthtest.Config) {
		c.Audience, c.TokenEdits = []string{api}, []oauthtest.Edit{oauthtest.Claim("plan", "gold")}
		c.Clients = []oauthtest.Client{{
			ID: "test-client", Secret: "test-secret", Scopes: []string{"a"},
			RedirectURIs: []string{"https://client.test/callback"}, TokenEdits: []oauthtest.Edit{oauthtest.Claim("level", "1")},
		}}
		c.Users = []oauthtest.User{{Subject: "user-1", Claims: map[string]any{
			"plain": "gold", "object": map[string]any{"a": "gold"}, "list": []any{map[string]any{"b": "gold"}},
		}}}
	})
	inherited := ""
	tenant := as.Tenant("/t1", func(c *oauthtest.Config) {
		cl, claims := &c.Clients[0], c.Users[0].Claims
		inherited = cl.ID + cl.Scopes[0] + c.Users[0].Subject
		cl.Secret, cl.Scopes[0], cl.RedirectURIs[0], cl.TokenEdits[0] = "theirs", "b", "https://evil.test/", oauthtest.Claim("level", "2")
		c.Audience[0], c.TokenEdits[0], c.Users[0].Subject = secondAPI, oauthtest.Claim("plan", "theirs"), "theirs"
		claims["plain"] = "theirs"
		claims["object"].(map[string]any)["a"] = "theirs"
		claims["list"].([]any)[0].(map[string]any)["b"] = "theirs"
	})
	t.Run("TA-03/tenant_inherits", func(t *testing.T) {
		if inherited != "test-clientauser-1" {
			t.Errorf("inherited %q", inherited)
		}
	})
	for _, tc := range []struct {
		name, secret                   string
		as                             *oauthtest.Server
		aud, plan, level, scope, named string
	}{
		{"TA-13/parent_stays", "test-secret", as, api, "gold", "1", "a", "gold"},
		{"TA-13/tenant_is_changed", "theirs", tenant, secondAPI, "theirs", "2", "b", "theirs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := tokenRequest(t, tc.as, "grant_type=client_credentials", basic("test-client", tc.secret))
			raw, _ := a.json["access_token"].(string)
			if a.status != want200 || raw == "" {
				t.Fatalf("%d %s", a.status, a.body)
			}
			_, claims := parts(t, raw)
			if claims["aud"] != tc.aud || claims["plan"] != tc.plan || claims["level"] != tc.level || claims["scope"] != tc.scope {
				t.Errorf("claims %v", claims)
			}
			shown := fmt.Sprint(oauthtest.UserClaims(tc.as))
			if strings.Count(shown, tc.named) != 3 {
				t.Errorf("claims of the user: %s", shown)
			}
		})
	}
}

func TestTenantRefused(t *testing.T) {
	for name, path := range map[string]string{
		"empty": "", "relative": "t1", "query": "/t1?x", "fragment": "/t1#x", "dots": "/a/../t1", "dot": "/./t1",
		"double_slash": "//t1", "canary": "/canary", "below_canary": "/canary/t1", "escaped_canary": "/%63anary", "taken": "/taken", "taken_by_the_host": "/",
		"metadata": "/.well-known/oauth-authorization-server/../x",
	} {
		t.Run("TA-01/tenant_refused_"+name, func(t *testing.T) {
			got := failureOf(func(t testing.TB) {
				as := oauthtest.NewServer(t, es256)
				as.Tenant("/taken")
				as.Tenant(path)
			})
			if !strings.Contains(got, "oauthtest") {
				t.Errorf("failure %q", got)
			}
		})
	}
	t.Run("TA-01/tenant_refused_with_faulty_config", func(t *testing.T) {
		got := failureOf(func(t testing.TB) {
			oauthtest.NewServer(t, es256).Tenant("/t1", func(c *oauthtest.Config) { c.Algorithm = "none" })
		})
		if !strings.Contains(got, "Algorithm") {
			t.Errorf("failure %q", got)
		}
	})
	t.Run("TA-01/tenant_refused_with_nil_edit", func(t *testing.T) {
		stray := false
		got := failureOf(func(t testing.TB) {
			as := oauthtest.NewServer(t, es256)
			stray = as.Tenant("/t1", es256, nil).Issuer() != as.Issuer()+"/t1"
		})
		if !strings.Contains(got, "oauthtest: Tenant: edit 2 is nil: leave it out") || !stray {
			t.Errorf("failure %q, stray: %t", got, stray)
		}
	})
	t.Run("TA-01/tenant_refused_after_close", func(t *testing.T) {
		got := failureOf(func(t testing.TB) {
			as := oauthtest.NewServer(t, es256)
			as.Close()
			as.Tenant("/t1")
		})
		if !strings.Contains(got, "closed") {
			t.Errorf("failure %q", got)
		}
	})
	for name, tc := range map[string]struct {
		edit func(*oauthtest.Config)
		want string
	}{
		"issuer":           {func(c *oauthtest.Config) { c.Issuer = "https://elsewhere.test" }, "Issuer"},
		"issuer_of_parent": {func(c *oauthtest.Config) { c.Issuer = "https://issuer.test" }, "Issuer"},
		"address":          {func(c *oauthtest.Config) { c.Addr = "127.0.0.1:0" }, "Addr"},
		"TLS":              {func(c *oauthtest.Config) { c.TLS = true }, "TLS"},
		"nowhere":          {func(c *oauthtest.Config) { c.Issuer = "https://issuer.test/t1" }, ""},
		"by_a_new_config":  {func(c *oauthtest.Config) { *c = oauthtest.Config{Algorithm: "ES256"} }, ""},
	} {
		t.Run("TA-01/tenant_moves_"+name, func(t *testing.T) {
			issuer := ""
			got := failureOf(func(t testing.TB) { issuer = oauthtest.NewServer(t, es256).Tenant("/t1", tc.edit).Issuer() })
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) || (issuer == "https://issuer.test/t1") != (tc.want == "") {
				t.Errorf("failure %q, issuer %s", got, issuer)
			}
		})
	}
	t.Run("TA-01/tenant_of_loopback_keeps_its_place", func(t *testing.T) {
		as := listen(t, oauthtest.Config{Addr: "localhost:0", TLS: true, Algorithm: "ES256"})
		if got := as.Tenant("/t1").Issuer(); got != as.Issuer()+"/t1" {
			t.Errorf("issuer %s", got)
		}
	})
	t.Run("TA-01/tenant_refusal_names_its_own_path", func(t *testing.T) {
		got := failureOf(func(t testing.TB) {
			as := oauthtest.NewServer(t, es256)
			as.Tenant("/x")
			as.Tenant("/x/y")
			as.Tenant("/x")
		})
		if !strings.HasSuffix(got, "the path /x is taken") {
			t.Errorf("failure %q", got)
		}
	})
}

func TestTenantClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := oauthtest.NewServer(t, es256)
		first, second := as.Tenant("/t1"), as.Tenant("/t2")
		keys := second.VerifierConfig(api).Keys
		if _, err := keys.Keys(t.Context(), nil); err != nil { // else it would fail without having been closed
			t.Error(err)
		}
		t1, t2 := first.Issuer()+"/jwks", second.Issuer()+"/jwks"
		if err := first.Close(); err != nil {
			t.Error(err)
		}
		for url, want := range map[string]int{t1: 404, t2: 200, as.Issuer() + "/jwks": 200} {
			if a := get(t, as.HTTPClient(), url); a.status != want {
				t.Errorf("%s: status %d", url, a.status)
			}
		}
		as.Tenant("/t1") // the path is free again
		for range 2 {
			if err := as.Close(); err != nil {
				t.Error(err)
			}
		}
		if set, err := keys.Keys(t.Context(), nil); set != nil || verifier.ClassOf(err) != verifier.ErrKeysUnavailable {
			t.Errorf("the cache of a tenant is open after Close of its host: %v", err)
		}
	})
}

// What waits at a tenant ends with the tenant, and nothing else does.
func TestTenantCloseEndsItsFaults(t *testing.T) {
	for name, f := range map[string]oauthtest.Fault{"hang": {Hang: true}, "delay": {Delay: 24 * time.Hour}} {
		t.Run("TA-23/"+name+"_ends_with_the_tenant", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := oauthtest.NewServer(t, es256)
				ended := map[*oauthtest.Server]bool{}
				var mu sync.Mutex
				servers := []*oauthtest.Server{as, as.Tenant("/t1"), as.Tenant("/t2")}
				for _, s := range servers {
					s.SetFault(oauthtest.EndpointKeySet, f)
					go func() {
						if _, err := attempt(t.Context(), as.HTTPClient(), s.Issuer()+"/jwks"); err == nil {
							t.Error("an answer")
						}
						mu.Lock()
						defer mu.Unlock()
						ended[s] = true
					}()
				}
				synctest.Wait()
				for i, s := range []*oauthtest.Server{servers[1], as} {
					s.Close()
					synctest.Wait()
					if want := 1 + 2*i; len(ended) != want || !ended[s] { // the second ends the third as well
						t.Errorf("%d ended", len(ended))
					}
				}
			})
		})
	}
}
