// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/providers"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// production is the configuration of an API as main would make it, after the edits.
func production(edits ...func(*verifier.Config)) verifier.Config {
	cfg := verifier.Config{Issuer: "https://id.example.com", Audience: []string{api, "https://second.example.com"}}
	for _, edit := range edits {
		edit(&cfg)
	}
	return cfg
}

type configEdit = func(*verifier.Config)

func TestPrincipal(t *testing.T) {
	t.Run("facts_of_a_perfect_token", func(t *testing.T) {
		cfg := production(func(c *verifier.Config) { c.Now = func() time.Time { return noon } })
		tok := oauthtest.Principal(t, cfg, oauthtest.Scope("orders:read", "orders:write"), oauthtest.Claim("plan", "gold"))
		want := verifier.Token{
			Issuer: cfg.Issuer, Subject: "user-1", ClientID: "test-client", ID: tok.ID, Audience: []string{api},
			Scopes:    []string{"orders:read", "orders:write"},
			ExpiresAt: noon.Add(10 * time.Minute).Truncate(time.Second), IssuedAt: noon.Truncate(time.Second),
		}
		if tok.ID == "" || !tok.ExpiresAt.Equal(want.ExpiresAt) || !tok.IssuedAt.Equal(want.IssuedAt) {
			t.Errorf("ID %q, times %v and %v", tok.ID, tok.IssuedAt, tok.ExpiresAt)
		}
		if tok.Issuer != want.Issuer || tok.Subject != want.Subject || tok.ClientID != want.ClientID ||
			!reflect.DeepEqual(tok.Audience, want.Audience) || !reflect.DeepEqual(tok.Scopes, want.Scopes) {
			t.Errorf("got %+v", tok)
		}
		var mine struct{ Plan string }
		if err := tok.Decode(&mine); err != nil || mine.Plan != "gold" {
			t.Errorf("decoded %+v, %v", mine, err)
		}
	})
	t.Run("nil_edit", func(t *testing.T) {
		got := failureOf(func(t testing.TB) { oauthtest.Principal(t, production(), oauthtest.Scope("a"), nil) })
		if !strings.Contains(got, "edit 2 is nil: leave it out") {
			t.Errorf("failure %q", got)
		}
	})
	t.Run("at_the_same_time", func(t *testing.T) {
		cfg := production()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				sub := fmt.Sprintf("user-%d", i)
				if tok := oauthtest.Principal(t, cfg, oauthtest.Subject(sub)); tok.Subject != sub {
					t.Errorf("%s: subject %s", sub, tok.Subject)
				}
			})
		}
		wg.Wait()
	})
}

// TestPrincipalRefused: what production refuses, no test can have.
func TestPrincipalRefused(t *testing.T) {
	required := func(c *verifier.Config) {
		c.RequiredClaims = []verifier.RequiredClaim{{Path: verifier.ClaimPath{"tenant", "id"}, Values: []string{"t1", "t2"}}, {Path: verifier.ClaimPath{"email_verified"}}}
	}
	clients := func(c *verifier.Config) {
		c.Profile, c.Audience, c.Clients = verifier.ProfileJWT, nil, []string{"web"}
	}
	for _, tc := range []struct {
		name string
		cfg  configEdit
		edit oauthtest.Edit
		want string // of the failure; "": accepted
	}{
		{"issuer", nil, oauthtest.Claim("iss", "https://evil.test"), "wrong issuer"},
		{"audience", nil, oauthtest.Audience("https://other"), "wrong audience: aud names none of Config.Audience"},
		{"second_audience", nil, oauthtest.Audience("https://second.example.com"), ""},
		{"expired", nil, oauthtest.ExpiresIn(-31 * time.Second), "token expired"},
		{"within_leeway", nil, oauthtest.ExpiresIn(-29 * time.Second), ""},
		{"required_by_the_profile", nil, oauthtest.NoClaim("client_id"), "missing claim: client_id"},
		{"optional", func(c *verifier.Config) { c.OptionalClaims = []string{"client_id"} }, oauthtest.NoClaim("client_id"), ""},
		{"required_claims_are_there", required, nil, ""},
		{"required_claim_other_value", required, oauthtest.Claim("tenant", map[string]string{"id": "t2"}), ""},
		{"required_claim_bad_value", required, oauthtest.Claim("tenant", map[string]string{"id": "t3"}), `invalid claim: ["tenant" "id"]`},
		{"required_claim_missing", required, oauthtest.NoClaim("email_verified"), "missing claim: email_verified"},
		{"clients", clients, nil, ""},
		{"client_not_listed", clients, oauthtest.ClientID("other"), "wrong audience: client_id is not in Config.Clients"},
		{"ID_token", func(c *verifier.Config) { c.Profile = verifier.ProfileJWT }, oauthtest.Claim("nonce", "n"), "wrong token type"},
		{"type", nil, oauthtest.Type("JWT"), "ProfileJWT"},
		{"type_under_ProfileJWT", func(c *verifier.Config) { c.Profile = verifier.ProfileJWT }, oauthtest.Type("JWT"), ""},
		{"forged", nil, oauthtest.Forged(), "bad signature"},
		{"bound", nil, oauthtest.Claim("cnf", map[string]string{"jkt": strings.Repeat("A", 43)}), "leave out the edit of cnf"},
		{"scope_of_no_grammar", nil, oauthtest.Scope("a\"b"), "invalid claim: scope"},
		{"algorithm", func(c *verifier.Config) { c.Algorithms = []string{"EdDSA"} }, nil, ""},
		{"secret", func(c *verifier.Config) { c.Algorithms = []string{"HS384"} }, nil, ""},
		{"secret_forged", func(c *verifier.Config) { c.Algorithms = []string{"HS384"} }, oauthtest.Forged(), "bad signature"},
		{"secret_beside_keys", func(c *verifier.Config) { c.Algorithms, c.Keys = []string{"HS384"}, namedSource("") }, nil, "verifier.Config.Keys is set"},
		{"faulty_algorithm", func(c *verifier.Config) { c.Algorithms = []string{"RS1"} }, nil, "faulty, in production as well: configuration error: verifier.Config.Algorithms"},
		{"no_audience", func(c *verifier.Config) { c.Audience = nil }, nil, "verifier.Config.Audience is empty"},
		{"keys_of_another_issuer", func(c *verifier.Config) { c.Keys = namedSource("https://other.example.com") }, nil, "verifier.Config.Keys are those of issuer"},
		{"http_issuer", func(c *verifier.Config) { c.Issuer = "http://localhost:9000" }, nil, "verifier.Config.Issuer is not an https URL"},
		{"http_issuer_that_was_discovered", func(c *verifier.Config) {
			c.Issuer, c.Keys = "http://localhost:9000", namedSource("http://localhost:9000")
		}, nil, ""},
		{"hook_that_panics", func(c *verifier.Config) { c.OnEvent = func(verifier.Event) { panic("x") } }, nil, "internal error: panic in OnEvent"},
		{"clock_that_panics", func(c *verifier.Config) { c.Now = func() time.Time { panic("x") } }, nil, "internal error: panic in Config.Now"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := production()
			if tc.cfg != nil {
				tc.cfg(&cfg)
			}
			var edits []oauthtest.Edit
			if tc.edit != nil {
				edits = append(edits, tc.edit)
			}
			got := failureOf(func(t testing.TB) { oauthtest.Principal(t, cfg, edits...) })
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("failure %q, want %q", got, tc.want)
			}
		})
	}
}

// namedSource is a source that says whose keys it has, and has none.
type namedSource string

func (s namedSource) Issuer() string { return string(s) }
func (namedSource) Keys(_ context.Context, _ *verifier.Miss) (*verifier.KeySet, error) {
	panic("asked for keys")
}

// TestPrincipalOfProviders: scopes and client arrive under whatever names the presets
// say, and raw claims are read as production reads them.
func TestPrincipalOfProviders(t *testing.T) {
	audience, clients := providers.Options{Audience: []string{"api"}}, providers.Options{Clients: []string{"web"}}
	for name, config := range map[string]func() (verifier.Config, error){
		"entra": func() (verifier.Config, error) {
			return providers.Entra("00000000-0000-0000-0000-00000000000a", audience)
		},
		"auth0": func() (verifier.Config, error) { return providers.Auth0("example.eu.auth0.com", audience) },
		"okta": func() (verifier.Config, error) {
			return providers.Okta("https://example.okta.com/oauth2/default", audience)
		},
		"cognito": func() (verifier.Config, error) {
			return providers.Cognito("eu-central-1", "eu-central-1_AbCdEfGhI", clients)
		},
		"keycloak": func() (verifier.Config, error) {
			return providers.Keycloak("https://id.example.com/realms/main", "api", audience)
		},
		"keycloak_clients": func() (verifier.Config, error) {
			return providers.Keycloak("https://id.example.com/realms/main", "api", clients)
		},
		"hydra":    func() (verifier.Config, error) { return providers.Hydra("https://hydra.example.com/", audience) },
		"zitadel":  func() (verifier.Config, error) { return providers.Zitadel("https://example.zitadel.cloud", audience) },
		"firebase": func() (verifier.Config, error) { return providers.Firebase("my-project-1", providers.Options{}) },
		"kubernetes": func() (verifier.Config, error) {
			return providers.Kubernetes("https://k8s.example.com", providers.Cluster{}, audience)
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := config()
			if err != nil {
				t.Fatal(err)
			}
			if c, ok := cfg.Keys.(*jwkscache.Cache); ok {
				t.Cleanup(func() { c.Close() })
			}
			client := "test-client"
			if len(cfg.Clients) > 0 {
				client = "web"
			}
			tok := oauthtest.Principal(t, cfg, oauthtest.Scope("orders:read"))
			if !tok.HasScope("orders:read") || len(tok.Scopes) != 1 || tok.ClientID != client || tok.Issuer != cfg.Issuer {
				t.Errorf("got %+v", tok)
			}
			if mapped := cfg.Mapping.Scopes != nil; mapped && len(oauthtest.Principal(t, cfg, oauthtest.Claim("scope", "orders:read")).Scopes) != 0 {
				t.Error("a raw claim scope grants what production does not read there")
			}
			if len(cfg.Clients) == 0 {
				if tok := oauthtest.Principal(t, cfg, oauthtest.ClientID("c2")); tok.ClientID != "c2" {
					t.Errorf("ClientID %q", tok.ClientID)
				}
			}
		})
	}
	t.Run("keycloak_roles", func(t *testing.T) {
		cfg, err := providers.Keycloak("https://id.example.com/realms/main", "", audience)
		if err != nil {
			t.Fatal(err)
		}
		tok := oauthtest.Principal(t, cfg, oauthtest.Claim("realm_access", map[string][]string{"roles": {"admin"}}))
		if !reflect.DeepEqual(tok.Roles, []string{"admin"}) {
			t.Errorf("roles %v", tok.Roles)
		}
	})
}

func TestIdentify(t *testing.T) {
	jane := oauthtest.Principal(t, production(), oauthtest.Subject("jane"), oauthtest.Scope("orders:read"))
	request := func() *http.Request { return httptest.NewRequest("GET", "/orders", nil) }
	t.Run("GO-06/handlers_find_the_token", func(t *testing.T) {
		r := oauthtest.Identify(t, request(), jane, scopes.All("orders:read"))
		tok, ok := middleware.TokenFrom(r.Context())
		if !ok || tok != jane || !middleware.Guarded(r.Context()) || r.URL.Path != "/orders" {
			t.Errorf("got %v, %v", tok, ok)
		}
	})
	for _, tc := range []struct {
		name string
		tok  *verifier.Token
		reqs []verifier.Requirement
		want string
	}{
		{"no_rules", jane, nil, ""},
		{"lacks_a_scope", jane, []verifier.Requirement{scopes.All("orders:read", "orders:write")}, "production would refuse this principal on a route with these rules: insufficient scope"},
		{"all_rules_are_asked", jane, []verifier.Requirement{scopes.All("orders:read"), scopes.All("admin")}, "insufficient scope"},
		{"nil_rule", jane, []verifier.Requirement{nil}, "configuration error"},
		{"made_by_hand", &verifier.Token{Subject: "jane", Scopes: []string{"orders:read"}}, nil, "not made by a verifier"},
		{"nil_token", nil, nil, "not made by a verifier"},
		{"claims_that_differ_by_case", oauthtest.Principal(t, production(), oauthtest.Claim("plan", "a"), oauthtest.Claim("PLAN", "b")), nil, ""},
		{"claims_that_differ_by_case_and_a_rule", oauthtest.Principal(t, production(), oauthtest.Claim("plan", "a"), oauthtest.Claim("PLAN", "b")), []verifier.Requirement{scopes.All("admin")}, "insufficient scope"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := failureOf(func(t testing.TB) { oauthtest.Identify(t, request(), tc.tok, tc.reqs...) })
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("failure %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("no_request", func(t *testing.T) {
		got := failureOf(func(t testing.TB) { oauthtest.Identify(t, nil, jane) })
		if !strings.Contains(got, "no request to identify") {
			t.Errorf("failure %q", got)
		}
	})
	t.Run("GO-06/no_guard_accepts_it", func(t *testing.T) {
		as := oauthtest.NewServer(t, atNoon)
		g, err := middleware.New(middleware.Config{Verifier: newVerifier(t, as.VerifierConfig(api))})
		if err != nil {
			t.Fatal(err)
		}
		rt, err := g.Route()
		if err != nil {
			t.Fatal(err)
		}
		if r, err := rt.Check(httptest.NewRecorder(), oauthtest.Identify(t, request(), jane)); err == nil || r != nil {
			t.Error("a guard let it pass")
		}
	})
}
