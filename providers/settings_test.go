// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"slices"
	"testing"

	"github.com/bearerguard/bearerguard/providers"
	"github.com/bearerguard/bearerguard/verifier"
)

// edited is a verifier for the configuration after a change, as users make it.
func (w *world) edited(config func(options) (verifier.Config, error), o options, change func(*verifier.Config)) *verifier.Verifier {
	w.Helper()
	o.Keys = w.keys()
	cfg, err := config(o)
	if err != nil {
		w.Fatal(err)
	}
	change(&cfg)
	return w.open(cfg)
}

func TestAuth0Settings(t *testing.T) {
	t.Run("D43/permissions_grant_nothing_unmapped", func(t *testing.T) {
		w := newWorld(t, "auth0")
		if tok := accept(t, w.verifier(auth0, api), w.token()); tok.HasScope("write:orders") {
			t.Error("a permission counts as a scope")
		}
	})
	t.Run("SC-04/permissions_as_scopes", func(t *testing.T) {
		w := newWorld(t, "auth0")
		v := w.edited(auth0, api, func(cfg *verifier.Config) { cfg.Mapping.Scopes = path{"permissions"} })
		if tok := accept(t, v, w.token()); !tok.HasScope("write:orders") || tok.HasScope("profile") {
			t.Errorf("scopes %v", tok.Scopes)
		}
	})
	t.Run("AP-01/token_profile_RFC_9068", func(t *testing.T) {
		w := newWorld(t, "auth0")
		strict := w.edited(auth0, api, func(cfg *verifier.Config) {
			cfg.TokenTypes, cfg.OptionalClaims, cfg.Mapping.ClientID = nil, nil, nil
		})
		standard := both(func(h, _ object) { h["typ"] = "at+jwt" }, without("azp"), claim("client_id", "c"), claim("jti", "j"))
		if tok := accept(t, strict, w.token(standard)); tok.ClientID != "c" {
			t.Errorf("client %q", tok.ClientID)
		}
		refuse(t, strict, w.token(), verifier.ErrTokenType)
	})
}

// TestClients: the presets that take a list of clients where aud says nothing.
func TestClients(t *testing.T) {
	for _, c := range []struct {
		name, client, claim string
		config              func(options) (verifier.Config, error)
	}{
		{"keycloak", "web-shop", "azp", keycloak},
		{"hydra", "00000000-0000-4000-8000-0000000000c1", "client_id", hydra},
	} {
		t.Run("JV-18/"+c.name, func(t *testing.T) {
			w := newWorld(t, c.name)
			v := w.verifier(c.config, clients(c.client))
			for _, aud := range []edit{without("aud"), claim("aud", []string{}), claim("aud", "account")} {
				if tok := accept(t, v, w.token(aud)); tok.ClientID != c.client {
					t.Errorf("client %q", tok.ClientID)
				}
			}
			refuse(t, v, w.token(claim(c.claim, "other")), verifier.ErrAudience)
			refuse(t, v, w.token(claim("aud", 1)), verifier.ErrInvalidClaim)
		})
		t.Run("D53/"+c.name, func(t *testing.T) {
			w := newWorld(t, c.name)
			v := w.verifier(c.config, clients(c.client))
			other := map[string]string{"azp": "client_id", "client_id": "azp"}[c.claim]
			refuse(t, v, w.token(without(c.claim), claim(other, c.client)), verifier.ErrMissingClaim)
			refuse(t, v, w.token(claim(c.claim, "other"), claim(other, c.client)), verifier.ErrAudience)
		})
		t.Run("JV-32/"+c.name, func(t *testing.T) {
			w := newWorld(t, c.name)
			v := w.verifier(c.config, clients(c.client))
			refuse(t, v, w.token(claim("typ", "ID")), verifier.ErrTokenType)
			refuse(t, v, w.token(claim("at_hash", "h")), verifier.ErrTokenType)
		})
	}
}

func TestKeycloakRoles(t *testing.T) {
	w := newWorld(t, "keycloak")
	t.Run("D45/literal_name", func(t *testing.T) {
		v := w.verifier(keycloak, audience("orders-api"))
		tok := accept(t, v, w.token(without("realm_access"), claim("realm_access.roles", []string{"admin"}), claim("roles", []string{"admin"})))
		if len(tok.Roles) > 0 {
			t.Errorf("roles %v", tok.Roles)
		}
	})
	t.Run("SC-11/roles_of_another_client", func(t *testing.T) {
		v := w.verifier(keycloak, audience("orders-api"))
		tok := accept(t, v, w.token(claim("resource_access", object{"account": object{"roles": []string{"orders-admin"}}})))
		if len(tok.Entitlements) > 0 {
			t.Errorf("entitlements %v", tok.Entitlements)
		}
	})
	t.Run("client_with_a_dot", func(t *testing.T) {
		config := func(o options) (verifier.Config, error) {
			return providers.Keycloak("https://id.example.com/realms/main", "orders.api", o)
		}
		v := w.verifier(config, audience("orders-api"))
		tok := accept(t, v, w.token(claim("resource_access", object{"orders.api": object{"roles": []string{"r"}}})))
		if !slices.Equal(tok.Entitlements, []string{"r"}) {
			t.Errorf("entitlements %v", tok.Entitlements)
		}
	})
	t.Run("no_client", func(t *testing.T) {
		config := func(o options) (verifier.Config, error) {
			return providers.Keycloak("https://id.example.com/realms/main", "", o)
		}
		tok := accept(t, w.verifier(config, audience("orders-api")), w.token())
		if len(tok.Entitlements) > 0 {
			t.Errorf("entitlements %v", tok.Entitlements)
		}
	})
	t.Run("JV-32/nonce_of_older_releases", func(t *testing.T) {
		v := w.edited(keycloak, audience("orders-api"), func(cfg *verifier.Config) { cfg.AllowedMarks = []string{"nonce"} })
		accept(t, v, w.token(claim("nonce", "n")))
		refuse(t, v, w.token(claim("nonce", "n"), claim("typ", "ID")), verifier.ErrTokenType)
	})
	t.Run("AP-01/typ_at+jwt", func(t *testing.T) {
		accept(t, w.verifier(keycloak, audience("orders-api")), w.token(func(h, _ object) { h["typ"] = "at+jwt" }))
	})
}

func TestHydraSettings(t *testing.T) {
	t.Run("SC-04/scope_as_a_string", func(t *testing.T) {
		w := newWorld(t, "hydra")
		v := w.edited(hydra, api, func(cfg *verifier.Config) { cfg.Mapping.Scopes = nil })
		tok := accept(t, v, w.token(without("scp"), claim("scope", "orders.read orders.write")))
		if !slices.Equal(tok.Scopes, []string{"orders.read", "orders.write"}) {
			t.Errorf("scopes %v", tok.Scopes)
		}
	})
	t.Run("D42/both_strategies", func(t *testing.T) {
		w := newWorld(t, "hydra")
		tok := accept(t, w.verifier(hydra, api), w.token(claim("scope", "admin")))
		if !slices.Equal(tok.Scopes, []string{"openid", "orders.read"}) {
			t.Errorf("scopes %v", tok.Scopes)
		}
	})
	t.Run("roles_in_ext", func(t *testing.T) {
		w := newWorld(t, "hydra")
		v := w.edited(hydra, api, func(cfg *verifier.Config) { cfg.Mapping.Roles = path{"ext", "roles"} })
		if tok := accept(t, v, w.token()); !slices.Equal(tok.Roles, []string{"editor"}) {
			t.Errorf("roles %v", tok.Roles)
		}
	})
}

func TestZitadel(t *testing.T) {
	w := newWorld(t, "zitadel")
	v := w.verifier(zitadel, audience("300000000000000003"))
	t.Run("AP-02/no_typ", func(t *testing.T) {
		accept(t, v, w.token(func(h, _ object) { delete(h, "typ") }))
	})
	t.Run("roles_by_Decode", func(t *testing.T) {
		var mine struct {
			Roles map[string]map[string]string `json:"urn:zitadel:iam:org:project:roles"`
		}
		tok := accept(t, v, w.token())
		if err := tok.Decode(&mine); err != nil || mine.Roles["editor"] == nil {
			t.Errorf("%v, %v", mine, err)
		}
	})
	t.Run("AP-04/older_release_without_client_id", func(t *testing.T) {
		v := w.edited(zitadel, audience("300000000000000003"), func(cfg *verifier.Config) { cfg.OptionalClaims = []string{"client_id"} })
		accept(t, v, w.token(without("client_id")))
	})
}

// TestNarrowing: what the comments advise to append.
func TestNarrowing(t *testing.T) {
	require := func(list ...verifier.RequiredClaim) func(*verifier.Config) {
		return func(cfg *verifier.Config) { cfg.RequiredClaims = append(cfg.RequiredClaims, list...) }
	}
	t.Run("github_environment", func(t *testing.T) {
		w := newWorld(t, "github_actions")
		v := w.edited(github, api, require(
			verifier.RequiredClaim{Path: path{"environment"}, Values: []string{"production"}},
			verifier.RequiredClaim{Path: path{"repository_owner_id"}, Values: []string{"1000001"}}))
		accept(t, v, w.token())
		refuse(t, v, w.token(claim("environment", "staging")), verifier.ErrInvalidClaim)
		refuse(t, v, w.token(without("environment")), verifier.ErrMissingClaim)
		refuse(t, v, w.token(claim("repository_owner_id", "1000009")), verifier.ErrInvalidClaim)
	})
	t.Run("github_subject", func(t *testing.T) {
		w := newWorld(t, "github_actions")
		v := w.edited(github, api, require(verifier.RequiredClaim{Path: path{"sub"}, Values: []string{"repo:example-org/shop:environment:production"}}))
		accept(t, v, w.token())
		refuse(t, v, w.token(claim("sub", "repo:example-org/shop:pull_request")), verifier.ErrInvalidClaim)
	})
	t.Run("kubernetes_namespace", func(t *testing.T) {
		w := newWorld(t, "kubernetes")
		v := w.edited(kubernetes, audience("https://orders.shop.svc"), require(verifier.RequiredClaim{Path: path{"kubernetes.io", "namespace"}, Values: []string{"shop"}}))
		accept(t, v, w.token())
		refuse(t, v, w.token(claim("kubernetes.io", object{"namespace": "other"})), verifier.ErrInvalidClaim)
	})
	t.Run("firebase_sign_in", func(t *testing.T) {
		w := newWorld(t, "firebase")
		v := w.edited(firebase, options{}, require(verifier.RequiredClaim{Path: path{"firebase", "sign_in_provider"}, Values: []string{"password"}}))
		accept(t, v, w.token())
		refuse(t, v, w.token(claim("firebase", object{"sign_in_provider": "anonymous"})), verifier.ErrInvalidClaim)
	})
	t.Run("JV-17/cognito_with_resources", func(t *testing.T) {
		w := newWorld(t, "cognito")
		v := w.edited(cognito, clients("c"), func(cfg *verifier.Config) {
			cfg.Profile, cfg.TokenTypes, cfg.Clients, cfg.Audience = verifier.RFC9068, []string{""}, nil, api.Audience
		})
		accept(t, v, w.token(claim("aud", api.Audience[0])))
		refuse(t, v, w.token(claim("aud", "https://other.example.com")), verifier.ErrAudience)
		refuse(t, v, w.token(claim("aud", api.Audience[0]), without("token_use")), verifier.ErrMissingClaim)
	})
	t.Run("kubernetes_older_release", func(t *testing.T) {
		w := newWorld(t, "kubernetes")
		accept(t, w.verifier(kubernetes, audience("https://orders.shop.svc")), w.token(without("jti")))
	})
}

// TestInsecureHosts: a realm on the developer's machine.
func TestInsecureHosts(t *testing.T) {
	config := func(o options) (verifier.Config, error) {
		return providers.Keycloak("http://localhost:8080/realms/main", "", o)
	}
	t.Run("KS-01/http_is_refused", func(t *testing.T) {
		_, err := config(api)
		wantFaults(t, err, "jwkscache.Config.Issuer uses http", "InsecureHosts")
	})
	t.Run("KS-01/http_of_a_listed_host", func(t *testing.T) {
		o := api
		o.Keys.InsecureHosts = []string{"loopback"}
		cfg, err := config(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.New(cfg); err != nil {
			t.Fatal(err)
		}
	})
}
